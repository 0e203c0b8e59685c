"""Tables of synonyms and topics, which group the words of a model and replace unknown words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


def words_of(text: str) -> frozenset[str]:
    """Split a line of a table into its words."""
    return frozenset(text.split())


# Patterns and replacements, in order, for training captions and for descriptions. Without them "isn't" would be split
# into "isn", "'" and "t".
CONTRACTIONS = (
    ("[\u2018\u2019\u02bc\u00b4`]", "'"),
    (r"\bcan'?t\b|\bcannot\b", "can not"),
    (r"\bwon'?t\b", "will not"),
    (r"\bain'?t\b", "is not"),
    (r"\bdo(?:es|s|se)en'?t\b|\bdose?n'?t\b", "does not"),
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
    (r"\bw/o(?:ut)?\b", "without"),
    (r"\bw/", "with "),
    (r"&", " and "),
    (r"(?<=\w)-(?=\w)", " "),  # grey-haired, grey haired
)

# Words that say nothing about a face. They are skipped if a model does not know them.
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
    gender sex headshot selfie closeup close portrait whatever kinda gonna wanna maybe mainly mostly
    probably slight thing bit lots
    around under over between most few though into down yet while other same more much almost perhaps during since
    because another through together relatively fully partly something lil well wearer person's
    huge tiny neat neatly tidy trimmed completely big small large only even ever simply still quick i'm hey ok okay
    """)


@dataclass(frozen=True)
class Concept:
    """Words for one property of a face.

    Attributes:
        topic: The topic, or "" for words of grammar.
        forms: Synonyms in groups of the same part of speech. Each may replace any other, first those of its own group.
        kinds: Narrower words. A form may replace a kind, but not the reverse.
        fallbacks: Replacements of forms and kinds if a model knows none of the forms.
    """

    topic: str
    forms: tuple[tuple[str, ...], ...]
    kinds: frozenset[str]
    fallbacks: tuple[str, ...]

    @classmethod
    def of(cls, topic: str, line: str) -> Concept:
        """Parse a line "form form | form < kind kind > fallback". A phrase has "_" in place of blanks."""
        forms, _, fallbacks = line.partition(">")
        forms, _, kinds = forms.partition("<")
        groups = tuple(tuple(phrases_of(group)) for group in forms.split("|"))
        return cls(topic, groups, frozenset(phrases_of(kinds)), tuple(phrases_of(fallbacks)))

    @property
    def words(self) -> list[str]:
        """All forms and kinds."""
        return [*(form for group in self.forms for form in group), *self.kinds]

    def replacements(self, word: str) -> Iterator[str]:
        """Yield the replacements of a form or kind, the closest first."""
        for group in sorted(self.forms, key=lambda group: word not in group):
            yield from group
        yield from self.fallbacks


def phrases_of(words: str) -> list[str]:
    """Split a line into words and phrases."""
    return [word.replace("_", " ") for word in words.split()]


def table(topics: dict[str, str]) -> list[Concept]:
    """Parse the concepts of each topic, one a line. A line with extra indentation continues the line before it."""
    return [
        Concept.of(topic, line)
        for topic, lines in topics.items()
        for line in lines.replace("\n          ", " ").split("\n")
        if line.strip()
    ]


# The concepts of each topic, in the notation of `Concept.of`. Words of grammar have the topic "".
CONCEPTS = table(
    {
        "": """
        wearing wears wear < wore sporting
        has have having < had
        in > wearing with
        not | no without < non
        never hardly barely rarely > does_not not no without
        no | without < zero > not
        without | no < lacking lacks minus sans neither lost > not
        nor or | no without
        color colour
        """,
        "man, woman or anyone": """
        man guy gentleman male fellow dude bloke chap gent lad boy | men guys gentlemen males fellows dudes blokes chaps
          gents lads boys | he < son brother father dad daddy husband groom king prince uncle fella sir mister mr
          boyfriend actor waiter salesman monk priest business_man
        young_man < schoolboy schoolboys > boy man he
        old_man older_man < grandpa grandad granddad grandfather grandpas grandfathers > man he
        woman lady female gal girl | women ladies females gals girls | she < daughter sister mother mom mum mummy wife
          bride queen princess aunt auntie miss mrs ms madam girlfriend actress waitress nun chick chicks babe lass
          lassie hag business_woman wives housewife
        young_woman < schoolgirl schoolgirls > girl woman she
        old_woman older_woman < grandma granny grandmother nan grandmas grandmothers > woman she
        person someone somebody individual human face | people persons individuals humans faces < human_being adult
          everyone everybody anyone anybody child baby model celebrity doctor nurse teacher student soldier athlete
          player singer artist scientist farmer chef cook lawyer judge pilot politician worker pirate hipster rapper
          customer professor coach footballer speaker hippie punk goth biker wizard elf viking
        young_person young_face < kid child teenager teen youngster youth baby toddler kids children teenagers teens >
          person face people
        old_person older_person < pensioner pensioners > person face
        """,
        "expression": """
        smiling grinning beaming laughing | happy cheerful joyful smiley | smile grin laughter | smiles grins laughs
          is_smiling < chuckling giggling smirking smirk laugh jolly merry cheery glad delighted amused joyous
          content ecstatic happily
        serious unsmiling stern solemn | not_smiling no_smile without_a_smile < sad unhappy angry mad
          grumpy cross gloomy upset sullen glum frowning pensive neutral bored scowling annoyed worried miserable
          depressed crying moody furious melancholic expressionless deadpan pouting frowns pouts scowls
        serious_look serious_expression serious_face < frown scowl pout poker_face *straight_face *blank_face
          neutral_face resting_face > serious unsmiling no_smile
        """,
        "hair color": """
        black raven < ebony blackish dark
        blond blonde golden < blondish flaxen sandy platinum blondie fair light yellow
        blondes < blondies > blonde blond person_with_blond_hair
        brown | brunette < chestnut hazel brownish chocolate mousy
        brunette person_with_brown_hair | brown_haired brown_hair brown < brunet brunettes
        gray grey silver < greyish grayish greying graying silvery snowy salt_and_pepper white
        red ginger auburn copper orange reddish < rusty crimson scarlet titian
        redhead person_with_red_hair person_with_ginger_hair | redheaded red_haired red_hair ginger red <
          redheads gingers
        """,
        "length of hair": """
        long < longish flowing
        short < shortish cropped buzzed > shorter
        """,
        "texture of hair": """
        curly wavy frizzy < kinky curled permed crimped
        curly_hair wavy_hair < curls ringlets waves perm afro
        straight < straightened
        """,
        "hair": """
        bald hairless | bald_head shaved_head shaven_head | no_hair without_hair < baldheaded slaphead >
          shaven
        bald hairless < balding
        hair | haired | heads head < hairs tresses locks hairstyle haircut
        """,
        "hairline": """
        receding_hairline balding < widow's_peak high_hairline thinning_hair
        """,
        "bangs and sideburns": """
        bangs fringe
        sideburns < mutton_chops
        """,
        "beard and mustache": """
        clean_shaven cleanshaven beardless | no_beard without_a_beard no_facial_hair < smooth_faced clean_shaved
          freshly_shaved smooth_shaven shaven
        goatee < van_dyke > beard facial_hair bearded
        stubble | unshaven < five_o_'_clock_shadow 5_o_'_clock_shadow stubbly scruff > beard facial_hair bearded
        unshaven bearded < unshaved scruffy whiskered > stubble beard
        beard | bearded | beards | facial_hair < whiskers bristles
        mustached moustached mustachioed < moustachioed > mustache moustache
        mustache moustache tache stache | mustaches moustaches
        """,
        "glasses": """
        sunglasses shades sunnies *dark_glasses < aviators ray_bans rayban raybans wayfarers *tinted_glasses > glasses
          eyeglasses spectacles eyewear
        glasses eyeglasses spectacles specs eyewear | bespectacled < goggles bifocals lenses monocle eyeglass
        """,
        "hat": """
        hatless bareheaded | no_hat without_a_hat
        hat cap headgear headwear beanie | hats caps beanies < fedora bonnet beret trilby bobble stetson sombrero
          bowler toque panama boater sunhat
        """,
        "skin": """
        pale white < pallid pasty caucasian porcelain light fair light_skinned fair_skinned
        dark_skinned black_skinned black < african african_american afro_american dark brown
        tanned tan suntanned olive < bronzed sunburnt sunburned
        skinned skin complexion | skins complexions
        """,
        "age": """
        young youthful youngish < younger teenage teen teenaged adolescent boyish girlish
        older old elderly aged senior mature < oldest geriatric ancient wrinkled wrinkly middle_aged
        """,
        "looks": """
        attractive beautiful lovely pretty handsome < good_looking gorgeous stunning cute hot sexy elegant
        attractive_person beautiful_person < beauty hottie stunner > attractive beautiful
        """,
        "build": """
        chubby plump overweight fat < obese stocky heavyset stout tubby podgy
        slim thin slender skinny lean
        muscular athletic strong buff
        """,
        "makeup": """
        lipstick < lippy lipgloss lip_gloss
        makeup cosmetics < make_up
        """,
        "jewelry": """
        earrings earring < earings studs hoops ear_rings
        necklace necklaces < pendant pearls
        """,
        "clothes": """
        tie necktie < bowtie bow_tie
        shirt tshirt top blouse
        suit jacket coat blazer
        """,
        "eyebrows": """
        eyebrows brows eyebrow brow
        """,
        "nose": """
        nose noses nosed
        """,
    }
)

# Further words of each topic, without synonyms.
FURTHER = {
    "expression": "smiley sad angry expression expressions look looks mood",
    "hair color": "blonde silver white yellow dark gold",
    "length of hair": "length medium shoulder",
    "texture of hair": "wavy",
    "hair": "headed shaved shaven",
    "hairline": "receding hairline hairlines",
    "beard and mustache": "facial clean shadow",
    "head coverings": "hijab headscarf scarf turban veil hood helmet crown tiara bandana headband headphones",
    "age": """mid late early age year years wrinkles twenties thirties forties fifties sixties seventies eighties
        nineties""",
    "looks": "good ugly unattractive",
    "build": "heavy big-boned",
    "pose": """posing pose facing staring glancing squint squinting talking speaking shouting listening thinking
        concentrating concentrated focused holding turned tilted leaning standing sitting pulled back front side left
        right upwards""",
    "character": """tall petite pleased satisfied determined attentive powerful sweet polite pleasant healthy fit sporty
        successful strange frustrated intense genuine interesting bold glamorous glamourous casual formal smartly
        groomed
        stylish trendy average wild sassy intellectual dreamy mysterious charming nerdy friendly smart clever
        intelligent wise confident shy kind-hearted mean evil scary creepy
        funny goofy silly cool tough rich poor famous proud tired sleepy sick professional relaxed calm nervous
        surprised shocked scared afraid excited cheeky manly feminine masculine""",
    "style of the image": """realistic photorealistic detailed hd 4k 8k quality studio
        lighting professional blurry blurred sharp camera lens anime pixar style 3d render""",
    "makeup": "mascara eyeliner blush eyeshadow foundation",
    "jewelry": "jewelry jewellery piercing piercings ring rings stud chain",
    "size and shape": """big large small tiny huge narrow wide thick thin full pointed pointy bushy arched rosy high
        prominent double elongated defined pronounced broad protruding pursed almond rounded
        crooked flared cleft symmetrical raised soft low wire rimmed rimless framed tinted""",
    "eyes": "eyes eye eyed eyelashes lashes gaze bags",
    "mouth": "mouth lips lip teeth tongue dimples dimple dimpled braces open closed",
    "ears": "ears ear",
    "cheeks and chin": "cheeks cheek cheekbones chin jaw jawline forehead neck",
    "shape of the face": "oval round square shaped heart",
    "freckles and scars": "freckles freckle freckled scar scars scarred mole moles tattoo tattoos acne",
    "origin": """asian european american latino latina hispanic indian chinese japanese korean arab arabic mediterranean
        oriental nordic german roman""",
    "clothes": """polo attire jersey vest cardigan gown tuxedo costume shirts dress suits sweater jumper hoodie collar
        uniform clothes clothing dressed outfit""",
    "hairdos": """buzzcut pixie wig topknot updo dyed highlights wet sleek styled roots dreadlocks dreads braid braids
        braided ponytail pigtails bun mohawk crew buzz spiky messy silky shiny
        slicked combed parted thinning undercut quiff fluffy layered tied loose plait plaits bob mullet fade bowl cut
        parting""",
    "other colors": "blue green pink purple violet turquoise colourful colorful",
    "groups of faces": "two three four five six several couple group crowd",
    "background": "background behind street outside outdoors beach park",
}

TOPICS = {
    topic: frozenset(
        word for concept in CONCEPTS if concept.topic == topic for word in concept.words if " " not in word
    )
    | words_of(FURTHER.get(topic, ""))
    for topic in dict.fromkeys([*(concept.topic for concept in CONCEPTS if concept.topic), *FURTHER])
}

# Topics of things. An unknown thing is removed together with its adjectives: "blue" in "blue eyes" is not a hair color.
THINGS = (
    *("hairline", "bangs and sideburns", "makeup", "jewelry", "eyes", "eyebrows", "nose", "mouth", "ears"),
    *("cheeks and chin", "head coverings", "clothes", "background"),
)
LOOKS = words_of("""
    black blond blonde brown gray grey red ginger silver white golden gold yellow orange dark light pale fair bright
    blue green pink purple big small large little tiny huge long short wide narrow thick thin full round square oval
    straight curly bushy pointed pointy sharp deep heavy nice new old striped checked plain arched rosy strong hazel
    receding double very really
    """)
# Words that qualify a color.
SHADES = words_of("light dark bright deep jet pale medium ash dirty strawberry honey platinum natural dyed snow icy")
COLORS = words_of("""
    black blond brown gray grey red ginger silver white golden gold yellow orange dark light blue green pink purple
    hazel
    """)
SIZES = words_of("big small large little long short wide narrow thick thin full round square heavy bushy huge massive")
KINDS_OF_HATS = words_of("baseball flat top cowboy straw bucket knit knitted bobble sun sports bowler woolen")
# Things, the adjectives that training captions may not have for them, and the topic of the note about these.
SIMPLE_THINGS = (
    (words_of("hat hats cap caps beanie headgear"), COLORS | SIZES | KINDS_OF_HATS, "color, size or kind of hats"),
    (words_of("glasses eyeglasses spectacles specs eyewear sunglasses shades sunnies"), (COLORS | SIZES) - {"dark"},
     "color or size of glasses"),
    (words_of("beard beards mustache moustache mustaches moustaches tache"), SIZES, "size of beards"),
    (words_of("lipstick makeup earrings necklace tie necktie"), COLORS, "color of makeup, jewelry or clothes"),
    (words_of("eyes eyebrows brows lips nose"), COLORS, "color of eyes, eyebrows, lips or noses"),
)  # fmt: skip
UNIVERSAL_THINGS = words_of("eyes eyebrows brows lips nose")  # without an adjective these words say nothing
DECADES = {
    word: 10 * tens
    for tens, word in enumerate(
        ["teens", "twenties", "thirties", "forties", "fifties", "sixties", "seventies", "eighties", "nineties"], 1
    )
}
AROUND_AGES = (
    words_of(
        "mid late early age aged about around roughly approximately over nearly almost of the at in his her their -"
    ),
    words_of("year years yr yrs yo old something ish -"),
)
DETERMINERS = words_of("a an the his her their its some any my your no")
DENIALS = words_of("no not without never non neither nor hardly barely rarely lacking lacks minus sans zero")
LINKS = DENIALS | words_of("""
    with wearing wears wear in has have having and or but who of , is are on does do
    """)
HAIRS = words_of("hair haired hairs beard beards mustache moustache goatee stubble curls ponytail braids")
