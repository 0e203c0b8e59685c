"""Export a model: safetensors with a model card, ONNX, torch.export, the Hugging Face Hub."""
