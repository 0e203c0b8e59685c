"""Export formats: safetensors with a model card, ONNX, torch.export, and the Hugging Face Hub."""
