"""What words mean to each other: the tables by which any model's words are grouped, and unknown ones are read."""

from __future__ import annotations


def words_of(text: str) -> frozenset[str]:
    """The words of a table's line."""
    return frozenset(text.split())


# What contracted words are read as, in training and later: patterns in order, without regard to what follows.
# "isn't smiling" would else be cut into "isn", "'" and "t".
CONTRACTIONS = (
    ("[\u2018\u2019\u02bc\u00b4`]", "'"),
    (r"\bcan'?t\b|\bcannot\b", "can not"),
    (r"\bwon'?t\b", "will not"),
    (r"\bain'?t\b", "is not"),
    (r"(?<=\bis|\bare|\bwas|\bwere|\bdoes|\bdo|\bdid|\bhas|\bhave|\bhad)n'?t\b", " not"),
    (r"n't\b", " not"),
    (r"(?<=\bshe|\bhe|\bit|\bwho|\bthat|\bthere)'s(?= got\b)", " has"),
    (r"(?<=\bshe|\bhe|\bit|\bwho|\bthat|\bthere|\bhere)'s\b", " is"),
    (r"'s\b", ""),
    (r"'re\b", " are"),
    (r"'ve\b", " have"),
    (r"(?<=i)'m\b", " am"),
    (r"'ll\b", " will"),
    (r"(?<=\bi|\bhe|\bshe|\byou)'d\b", " would"),
    (r"\bw/o\b", "without"),
    (r"\bw/", "with "),
    (r"&", " and "),
    (r"(?<=\w)-(?=\w)", " "),  # grey-haired, grey haired
)

# Words that ask, or link, and say nothing of a face: unknown ones are passed over.
FILLERS = words_of("""
    a about all also always am an and any are as at be been being bit both but by can certain certainly could create
    design did do does draw drawing drawn either face for from gave generate get give go got had has have having he her
    herself him himself his how i if illustrate illustration image imagine in is it its just kind let like little look
    looking looks lot make may me might mine my nice of on one or our out paint painted painting photo photograph pic
    picture please portrait portray quite rather really render seem seems see she should show sketch slightly so some
    somewhat sort such take tell than thank thanks that the their them there these they this those to too up us very
    view want wants was we were what when where which who whom whose will wish with would you your extremely totally
    completely broadly clearly obviously typical normal ordinary real avatar cartoon character depict depicting
    features featuring hello hi need try let's appear appears appearing visible shown profile
    huge tiny neat neatly tidy trimmed completely big small large only even ever simply still quick i'm hey ok okay
    """)

# Words for one thing, of which any may stand for any other.
SYNONYMS = tuple(
    tuple(words.split())
    for words in (
        "man guy gentleman male fellow dude bloke chap gent lad",
        "woman lady female gal",
        "person someone somebody individual human",
        "men guys gentlemen males fellows dudes blokes chaps gents lads",
        "women ladies females gals",
        "people persons individuals humans",
        "smiling grinning beaming",
        "smile grin",
        "smiles grins",
        "happy cheerful joyful cheery jolly merry",
        "serious stern solemn unsmiling",
        "glasses eyeglasses spectacles specs eyewear",
        "sunglasses shades sunnies",
        "mustache moustache tache stache",
        "mustached moustached mustachioed",
        "mustaches moustaches",
        "blond blonde",
        "gray grey",
        "red ginger",
        "curly wavy",
        "color colour",
        "hat headgear headwear",
        "old older elderly aged senior",
        "young youthful younger",
        "attractive good-looking beautiful",
        "chubby plump",
        "pale light-skinned fair-skinned",
        "bangs fringe",
        "lipstick lippy",
        "makeup make-up cosmetics",
        "earrings earings",
        "tie necktie",
        "bald hairless",
        "wears wearing wear wore sporting",
        "has have having had",
        "haired hair",
        "skinned skin complexion",
    )
)

# Words -> what they are a kind of, or say in other words; the first that is known to a model is taken.
KINDS = {
    word: tuple(meant.split("|"))
    for words, meant in (
        (
            "boy son brother father dad daddy grandpa grandad granddad grandfather husband groom king prince uncle sir "
            "mister mr actor waiter policeman businessman salesman monk priest boyfriend",
            "man",
        ),
        (
            "girl chick daughter sister mother mom mum mummy grandma granny grandmother wife bride queen princess aunt "
            "miss mrs ms madam actress waitress policewoman businesswoman nun girlfriend",
            "woman",
        ),
        ("boys", "men|man"),
        ("girls", "women|woman"),
        ("kid child teenager teen youngster youth adult baby toddler human being pensioner", "person|face"),
        ("kids children teenagers teens adults", "people|person"),
        ("redhead", "person with red hair"),
        ("brunette", "person with brown hair"),
        ("redheaded", "red haired|red hair"),
        ("auburn copper reddish rusty crimson scarlet", "red"),
        ("chestnut hazel brownish chocolate", "brown"),
        ("blondish flaxen sandy platinum", "blond"),
        ("greyish grayish greying graying", "gray"),
        ("raven ebony blackish", "black"),
        ("wavy curled frizzy kinky permed", "curly"),
        ("bearded unshaven", "beard"),
        ("goatee stubble whiskers bristles", "beard"),
        ("moustached mustached mustachioed", "mustache"),
        ("bespectacled goggles", "glasses"),
        ("cleanshaven beardless", "clean shaven|no beard"),
        ("shaven-headed balding", "bald"),
        ("hatless bareheaded", "without a hat"),
        ("cap beanie fedora bonnet beret trilby bobble stetson sombrero", "hat"),
        ("caps beanies", "hats|hat"),
        ("grinning laughing beaming chuckling smirking smiled smirk", "smiling"),
        ("grin laughter", "smile"),
        ("grins laughs beams", "smiles|is smiling"),
        ("joyful cheery jolly merry delighted glad amused", "happy|smiling"),
        (
            "sad unhappy angry grumpy cross gloomy upset sullen glum stern solemn frowning pensive neutral bored "
            "scowling annoyed worried miserable",
            "serious|unsmiling",
        ),
        ("suntanned tan olive", "tanned"),
        ("ebony", "black|dark"),
        ("pallid pasty white", "pale"),
        ("afro", "curly hair"),
        ("in", "wearing|with"),
        ("never hardly barely rarely", "does not|not"),
        ("non", "not"),
        ("lacking lacks minus", "without"),
        ("zero", "no"),
        (
            "doctor nurse teacher student soldier athlete player singer artist scientist farmer chef cook lawyer judge "
            "pilot politician worker pirate hipster rapper model celebrity customer",
            "person|face",
        ),
        ("neither", "without|no"),
        ("nor", "or"),
    )
    for word in words.split()
}

# What words mean of hair alone, read as such only where hair or a beard follows: a white man's hair may be black.
OF_HAIR = {
    "white": "gray",
    "silver": "gray",
    "silvery": "gray",
    "snowy": "gray",
    "salt": "gray",
    "fair": "blond",
    "light": "blond",
    "golden": "blond",
    "yellow": "blond",
    "dark": "black",
    "orange": "red",
}
HAIRS = words_of("hair haired hairs beard mustache moustache")

# Words of each attribute. Of one of which a model knows no word at all, its data showed nothing.
TOPICS = {
    topic: frozenset(words.split())
    for topic, words in {
        "man, woman or anyone": """man guy gentleman male fellow dude bloke chap gent lad boy he his him men guys
            gentlemen males fellows dudes blokes chaps gents lads boys woman lady female gal girl she her women ladies
            females gals girls person someone somebody individual human people persons individuals humans face faces
            they their""",
        "expression": """smiling smile smiles smiled happy cheerful grinning grin grins laughing laughs laugh beaming
            joyful smiley serious unsmiling stern solemn sad angry expression look looks""",
        "hair colour": """black blond blonde brown gray grey red ginger silver white jet raven fair golden yellow
            platinum chestnut brunette auburn copper orange reddish dark light redhead redheaded""",
        "hair": """hair haired long short wavy curly straight frizzy bald headed hairless shaved balding""",
        "hairline": """receding hairline hairlines widow's""",
        "bangs and sideburns": """bangs fringe sideburns""",
        "beard and mustache": """beard beards bearded beardless clean shaven cleanshaven mustache moustache mustaches
            moustaches mustached moustached facial goatee stubble shadow""",
        "glasses": """glasses eyeglasses spectacles specs eyewear bespectacled sunglasses shades sunnies""",
        "hat": """hat hats cap caps beanie headgear hatless bareheaded winter woolly""",
        "skin": """skin skinned pale complexion tanned tan olive suntanned""",
        "age": """old older oldest elderly aged senior mature young younger youngish youthful teen teens teenage
            teenaged teenager adolescent middle twenties thirties forties fifties sixties seventies eighties nineties
            age year years wrinkled wrinkles mid late early""",
        "looks": """attractive good cute beautiful lovely pretty handsome gorgeous stunning ugly hot sexy elegant""",
        "build": """chubby plump overweight fat slim skinny thin slender muscular athletic heavy strong""",
        "character": """nerdy friendly smart clever intelligent wise confident shy kind-hearted mean evil scary creepy
            funny goofy silly cool tough rich poor famous proud tired sleepy sick professional relaxed calm nervous
            surprised shocked scared afraid excited crying""",
        "style of the picture": """realistic photorealistic detailed hd 4k 8k quality high headshot selfie closeup
            close studio lighting professional blurry blurred sharp camera lens anime pixar style 3d render""",
        "makeup": """lipstick makeup cosmetics mascara eyeliner blush eyeshadow""",
        "jewellery": """earrings earring necklace necklaces jewelry jewellery piercing piercings ring rings stud studs
            pendant""",
        "eyes": """eyes eye eyed eyelashes lashes gaze""",
        "eyebrows": """eyebrows eyebrow brows brow""",
        "nose": """nose noses nostrils nosed""",
        "mouth": """mouth lips lip teeth tongue dimples dimple dimpled""",
        "ears": """ears ear""",
        "cheeks and chin": """cheeks cheek cheekbones chin jaw jawline forehead neck double""",
        "shape of the face": """oval round square shaped heart""",
        "freckles and scars": """freckles freckle freckled scar scars scarred mole moles tattoo tattoos tattooed acne
            pimples""",
        "origin": """asian african american european caucasian latino latina hispanic indian chinese japanese arab
            arabic mediterranean oriental nordic african-american""",
        "head coverings": """hijab headscarf scarf turban veil hood helmet crown tiara bandana headband""",
        "clothes": """shirt shirts tshirt dress suit suits tie necktie jacket coat sweater jumper hoodie blouse top
            collar uniform clothes clothing dressed outfit""",
        "hairdos": """dreadlocks dreads braid braids braided ponytail pigtails bun mohawk crew buzz spiky messy
            silky shiny slicked combed parted thinning undercut quiff fluffy flowing layered tied loose plait plaits bob
            mullet fade curls bowl cut parting shoulder length medium""",
        "other colours": """blue green pink purple violet turquoise colourful colorful""",
        "groups of faces": """two three four five six several couple group crowd""",
        "background": """background behind street outside outdoors beach park""",
    }.items()
}

# Topics whose words name things, which take words of their look along: of "blue eyes", "blue" is no hair's.
THINGS = (
    *("hairline", "bangs and sideburns", "makeup", "jewellery", "eyes", "eyebrows", "nose", "mouth", "ears"),
    *("cheeks and chin", "head coverings", "clothes", "background"),
)
LOOKS = words_of("""
    black blond blonde brown gray grey red ginger silver white golden gold yellow orange dark light pale fair bright
    blue green pink purple big small large little tiny huge long short wide narrow thick thin full round square oval
    straight curly bushy pointed pointy sharp deep heavy nice new old striped checked plain arched rosy strong hazel
    receding very really
    """)
COLOURS = words_of("black brown gray grey red silver white yellow orange dark light")
SIZES = words_of("big small large little long short wide narrow thick thin full round square heavy bushy")
KINDS_OF_HATS = words_of("baseball flat top cowboy straw bucket knit knitted bobble sun sports")
# Things that a model may know without knowing what colour or size they have.
PLAIN_THINGS = (
    (words_of("hat hats cap caps beanie headgear"), COLOURS | SIZES | KINDS_OF_HATS, "colour, size or kind of hats"),
    (words_of("glasses eyeglasses spectacles specs eyewear sunglasses shades sunnies"), (COLOURS | SIZES) - {"dark"},
     "colour or size of glasses"),
    (words_of("beard beards mustache moustache mustaches moustaches tache"), SIZES, "size of beards"),
)  # fmt: skip
DETERMINERS = words_of("a an the his her their its some any my your no")
LINKS = words_of("""
    with without wearing wears wear in has have having and or but who of , is are on not does do neither nor never non
    hardly barely rarely lacking lacks minus
    """)
