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
    completely broadly clearly obviously typical normal ordinary real avatar cartoon character depict depicting features
    featuring hello hi need try let's appear appears appearing visible shown profile gender sex headshot selfie closeup
    close whatever kinda gonna wanna maybe mainly mostly probably slight thing lots around under over between most few
    though into down yet while other same more much almost perhaps during since because another through together
    relatively fully partly something lil well wearer person's huge tiny neat neatly tidy trimmed big small large only
    even ever simply still quick i'm hey ok okay above below beneath underneath beside against toward towards onto upon
    within off anything everything whatsoever total super absolutely utterly entirely incredibly insanely ridiculously
    highly heavily lightly deeply strongly softly gently freshly badly nearly approximately usually normally typically
    generally currently now today type types kinds random randomly anymore yo next trust unnaturally yes name called
    hard ago once sometimes often seriously somehow whole entire every each else way ways tons ton bunch load loads
    plenty amount touch hint dash made makes making came went seen sees things best great love loves hope must pls plz
    thx af tbh lol again instead version generic set used using use wanting trying getting going goes covering covers
    covered falling falls reaching reaches coming perfectly naturally visibly then
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
        wearing wears wear < wore worn sporting donning rocking
        has have having < had kept keeps keeping keep
        in > wearing with
        not | no without < non *no_longer *rather_than *instead_of *anything_but *used_to_be *far_from
        never hardly barely rarely scarcely > does_not not no without
        no | without < zero less fewer *hardly_any *barely_any *scarcely_any *almost_no *very_little *not_much
          *next_to_no > not
        without | no < lacking lacks minus sans neither lost removed removes missing *took_off *shaved_off *cut_off
          *takes_off *taken_off
          *taking_off *free_of *devoid_of *got_rid_of *stopped_wearing *no_longer_wears *no_longer_wearing
          *no_longer_has *used_to_have *used_to_wear *everything_but *everything_except > not
        but < except *except_for *apart_from *other_than
        nor or | no without
        color colour
        """,
        "man, woman or anyone": """
        man guy gentleman male fellow dude bloke chap gent lad boy | men guys gentlemen males fellows dudes blokes chaps
          gents lads boys | he < son brother father dad daddy husband groom king prince uncle fella sir mister mr
          boyfriend actor waiter salesman monk priest business_man bro bros papa daddies dads stepfather stepdad
          stepson stepbrother godfather grandson nephew widower bachelor emperor duke lord knight baron earl sultan pope
          pharaoh sheikh butler laddie hubby fiance chad hunk santa *santa_claus *father_christmas himbo
        young_man < schoolboy schoolboys > boy man he
        old_man older_man < grandpa grandad granddad grandfather grandpas grandfathers gramps geezer codger > man he
        man_with_gray_hair gray_haired_man < *silver_fox *silver_foxes > man
        woman lady female gal girl | women ladies females gals girls | she < daughter sister mother mom mum mummy wife
          bride queen princess aunt auntie miss mrs ms madam girlfriend actress waitress nun chick chicks babe lass
          lassie hag business_woman wives housewife gurl gurls grl wmn womn girly girlie girlies tomboy mama mamma
          mommy moms mums stepmother stepmom stepdaughter stepsister godmother granddaughter niece widow
          bachelorette empress duchess countess baroness goddess priestess heiress hostess stewardess seamstress
          sorceress enchantress headmistress mistress songstress huntress governess matron madame damsel maiden maid
          milkmaid ballerina diva geisha mermaid witch witches valkyrie spinster missus sis chica senorita signora karen
          *drag_queen fiancee showgirl
        young_woman < schoolgirl schoolgirls > girl woman she
        old_woman older_woman < grandma granny grandmother nan grandmas grandmothers nana gran grannies babushka crone >
          woman she
        person someone somebody individual human face | people persons individuals humans faces < human_being adult
          everyone everybody anyone anybody child baby model celebrity doctor nurse teacher student soldier athlete
          player singer artist scientist farmer chef cook lawyer judge pilot politician worker pirate hipster rapper
          customer professor coach footballer speaker hippie punk goth biker wizard elf viking
          firefighter boxer surgeon dentist barista bartender cashier receptionist secretary librarian assistant
          accountant banker broker manager director boss ceo executive entrepreneur employee engineer programmer
          developer
          coder hacker gamer nerd geek streamer influencer youtuber blogger journalist reporter presenter host anchor
          announcer comedian clown jester magician dancer musician guitarist pianist drummer violinist rocker dj
          conductor composer writer author poet novelist painter sculptor photographer designer architect builder
          plumber electrician carpenter mechanic welder miner trucker driver pilot captain sailor fisher astronaut
          officer cop detective spy agent guard bodyguard bouncer sheriff ranger warrior samurai ninja gladiator
          assassin mercenary hunter sergeant veteran vet hero heroine superhero villain criminal prisoner thief
          gangster mobster thug beggar hobo tramp refugee immigrant tourist traveler traveller hiker climber surfer
          skater skateboarder skier swimmer runner cyclist wrestler bodybuilder weightlifter golfer gymnast sprinter
          referee trainer instructor tutor principal headteacher lecturer academic scholar physicist chemist biologist
          mathematician astronomer philosopher psychologist therapist psychiatrist paramedic medic physician pharmacist
          midwife nanny babysitter carer caretaker cleaner janitor gardener florist shepherd butcher baker barber
          hairdresser stylist tailor jeweler shopkeeper seller vendor merchant trader peasant villager blacksmith
          lumberjack pastor minister vicar bishop rabbi imam preacher saint pilgrim angel devil demon vampire zombie
          werewolf alien robot cyborg fairy dwarf giant hobbit goblin troll president senator governor mayor
          ambassador diplomat noble aristocrat monarch ruler royal leader chief boomer millennial guest neighbor
          neighbour friend friends buddy pal mate colleague coworker roommate flatmate classmate teammate partner lover
          spouse sibling siblings cousin cousins parent parents relative stranger passenger pedestrian citizen
          resident member client patient owner star idol legend hippy cutie sweetheart darling goofball weirdo scout
          loser badass rebel rockstar supermodel cheerleader lifeguard rogue nomad
          swede dane finn brit scot spaniard turk nonbinary androgynous enby *non_binary *gender_neutral
          *gender_fluid genderfluid genderqueer agender
          ex bestie bff folks folk ppl
        young_person young_face < kid child teenager teen youngster youth baby toddler kids children teenagers teens
          infant newborn babies toddlers kiddo preschooler schoolchild schoolkid tween preteen juvenile youngsters >
          person face people
        old_person older_person < pensioner pensioners retiree elder elders oap oldie centenarian nonagenarian
          octogenarian septuagenarian sexagenarian senior_citizen old_timer > person face
        """,
        "expression": """
        smiling grinning beaming laughing | happy cheerful joyful smiley | smile grin laughter | smiles grins laughs
          is_smiling < chuckling giggling smirking smirk laugh jolly jovial merry cheery glad delighted amused joyous
          content ecstatic happily overjoyed elated thrilled joyfully cheerfully giggly smirks
          gleeful upbeat *in_a_good_mood happier giggles chuckles chuckle giggle
        serious unsmiling stern solemn | not_smiling no_smile without_a_smile < sad saddest angriest unhappy angry mad
          grumpy cross gloomy upset sullen glum frowning pensive neutral bored scowling annoyed worried miserable
          depressed crying moody furious melancholic expressionless deadpan pouting frowns pouts scowls
          emotionless stoic heartbroken devastated sorrowful mournful weeping sobbing tearful irritated irate enraged
          livid hostile aggressive sulking sulky dour severe grim unimpressed disappointed disgusted stone_faced
          straight_faced poker_faced po_faced sadly angrily seriously sombre somber brooding glowering glaring fuming
          wistful gloomily disapproving bitter resentful raging *in_a_bad_mood grouchy cranky surly
        serious_look serious_expression serious_face < frown scowl pout poker_face *straight_face *blank_face
          neutral_face resting_face resting_bitch_face *blank_expression *deadpan_expression stern_face >
          serious unsmiling no_smile
        """,
        "hair color": """
        black raven < ebony blackish onyx inky dark
        blond blonde golden < blondish flaxen sandy platinum blondie fair light yellow
          towheaded
        blondes < blondies > blonde blond person_with_blond_hair
        brown | brunette < chestnut hazel brownish chocolate mousy mousey caramel mocha mahogany bronde
        brunette person_with_brown_hair | brown_haired brown_hair brown < brunet brunettes
        gray grey silver < greyish grayish greying graying silvery snowy salt_and_pepper white
          salt_n_pepper salt_pepper pepper_and_salt grizzled hoary whitening
        gray_hair grey_hair < *black_and_white_hair *black_and_white_beard > gray grey
        red ginger auburn copper orange reddish < rusty rust crimson scarlet titian burgundy maroon coppery fiery
          carroty
        redhead person_with_red_hair person_with_ginger_hair | redheaded red_haired red_hair ginger red <
          redheads gingers *carrot_top
        """,
        "length of hair": """
        long < longish flowing waist_length
        short < shortish cropped buzzed close_cropped closely_cropped shorn > shorter
        short_hair < buzz_cut buzzcut crew_cut crewcut pixie_cut caesar_cut french_crop military_cut > short
        """,
        "texture of hair": """
        curly wavy frizzy < kinky curled permed crimped coily coiled corkscrew
        curly_hair wavy_hair < curls ringlets waves perm afro afros jheri_curls
        straight < straightened
        """,
        "hair": """
        bald hairless | bald_head shaved_head shaven_head | no_hair without_hair < baldheaded slaphead baldy baldie
          cueball
          *shaved_his_head *shaved_her_head *shaved_their_head *hair_is_gone >
          shaven
        bald hairless < balding
        hair | haired | heads head < hairs tresses locks hairstyle haircut hairdo mane coiffure haircuts
        """,
        "hairline": """
        receding_hairline balding < widow's_peak high_hairline thinning_hair bald_spot
          bald_patch comb_over combover
        """,
        "bangs and sideburns": """
        bangs fringe < forelock
        sideburns < mutton_chops muttonchops sideboards
        """,
        "beard and mustache": """
        clean_shaven cleanshaven beardless | no_beard without_a_beard no_facial_hair < smooth_faced clean_shaved
          freshly_shaved smooth_shaven shaven *clean_chin *clean_face *shaved_his_beard *shaved_off_his_beard
          *shaved_his_beard_off
        goatee < van_dyke soul_patch > beard facial_hair bearded
        stubble | unshaven < five_o_'_clock_shadow 5_o_'_clock_shadow stubbly scruff *three_day_beard
          *3_day_beard five_o_clock_shadow 5_o_clock_shadow five_oclock_shadow 5_oclock_shadow *designer_stubble
          *day_old_beard > beard facial_hair bearded
        unshaven bearded < unshaved *forgot_to_shave scruffy whiskered whiskery > stubble beard
        beard | bearded | beards | facial_hair < whiskers bristles beardy beerd berd bierd *never_shaved
          *never_shaves
        mustached moustached mustachioed < moustachioed > mustache moustache
        mustache moustache tache stache | mustaches moustaches < mustage mustash moustash mostache mustachio tash
        """,
        "glasses": """
        sunglasses shades sunnies *dark_glasses < aviators ray_bans rayban raybans wayfarers *tinted_glasses aviator
          aviator_glasses wayfarer *sun_glasses > glasses
          eyeglasses spectacles eyewear
        glasses eyeglasses spectacles specs eyewear | bespectacled < goggles bifocals monocle eyeglass specks
        with_glasses < *with_glass *wears_glass *wearing_glass
        """,
        "hat": """
        hatless bareheaded | no_hat without_a_hat < bare_headed *bare_head *nothing_on_his_head *nothing_on_her_head
          *nothing_on_their_head
          *wearing_nothing_on_his_head *wearing_nothing_on_her_head *hat_off
        hat cap headgear headwear beanie | hats caps beanies < fedora bonnet beret trilby bobble stetson sombrero
          bowler toque panama boater sunhat
          *anything_on_his_head *anything_on_her_head *something_on_his_head *something_on_her_head
          ushanka sunhats snapback visor fez tricorn flatcap beany
        """,
        "skin": """
        pale white < pallid pasty caucasian porcelain light fair light_skinned fair_skinned
          pale_faced alabaster ivory milky albino
        dark_skinned black_skinned black < african african_american afro_american dark brown
          dusky swarthy
        tanned tan suntanned olive < bronzed sunburnt sunburned bronze sunkissed sun_kissed tawny
        skinned skin complexion | skins complexions
        """,
        "age": """
        young youthful youngish < younger teenage teen teenaged adolescent boyish girlish
          preteen baby_faced baby_face college_aged
        older old elderly aged senior mature < oldest geriatric ancient wrinkled wrinkly middle_aged
          aging ageing retired wizened middle_age midlife
        """,
        "looks": """
        attractive beautiful lovely pretty handsome < good_looking gorgeous stunning cute hot sexy elegant
          dashing striking ravishing adorable hunky
        attractive_person beautiful_person < beauty hottie stunner > attractive beautiful
        """,
        "build": """
        chubby plump overweight fat < obese stocky heavyset stout tubby podgy
          heavy_set chunky plus_size plus_sized pudgy rotund portly husky burly curvy big_boned
        slim thin slender skinny lean < scrawny lanky bony gaunt
        muscular athletic strong buff < ripped jacked brawny beefy toned well_built
        """,
        "makeup": """
        lipstick < lippy lipgloss lip_gloss
        makeup cosmetics < make_up
        < makeup_look face_paint face_painted
        """,
        "jewelry": """
        earrings earring < earings studs hoops ear_rings
        necklace necklaces < pendant pearls choker locket
        """,
        "size and shape": """
        < cat_eye cat_eyed
        """,
        "clothes": """
        tie necktie < bowtie bow_tie
        shirt tshirt top blouse < t_shirt tee tank_top
        suit jacket coat blazer < lab_coat leather_jacket
        """,
        "eyebrows": """
        eyebrows brows eyebrow brow < unibrow monobrow browed eyebrowed
        """,
        "nose": """
        nose noses nosed < nostrils nostril
        """,
        "eyes": """
        < cross_eyed doe_eyed wide_eyed eye_patch eye_bags dark_circles crow's_feet crows_feet *kind_eyes
        """,
        "mouth": """
        < laugh_lines smile_lines *tongue_out gold_tooth gold_teeth buck_teeth
        """,
        "character": """
        < *no_nonsense
        """,
        "hairdos": """
        < man_bun man_buns pony_tail pony_tails top_knot space_buns half_shaved shaved_sides dark_roots
        """,
        "style of the image": """
        < golden_hour full_body full_length close_up head_shot *black_and_white *black_and_white_photo
          *black_and_white_photograph *black_and_white_picture *black_and_white_portrait *black_and_white_image
          *black_and_white_sketch *black_and_white_drawing *in_black_and_white b_and_w *b_and_w_photo
          *soft_light *studio_light *soft_studio_light *rim_light *natural_light *warm_light *cold_light *cool_light
          *harsh_light *neon_light *dramatic_light *golden_light *ambient_light *dim_light *bright_light *low_light
          *back_light *side_light *window_light *candle_light *stage_light *good_light *evening_light *morning_light
          *flat_light *light_background *dark_background *pale_background out_of_focus side_view
        """,
        "origin": """
        < mixed_race of_color of_colour mixed_heritage middle_eastern south_asian east_asian southeast_asian
          native_american
        """,
    }
)

# Further words of each topic, without synonyms.
FURTHER = {
    "expression": "smiley sad angry expression expressions look looks mood",
    "hair color": "blonde silver white yellow dark gold",
    "length of hair": "length medium shoulder waist hip",
    "texture of hair": "wavy",
    "hair": "headed shaved shaven mop",
    "hairline": "receding hairline hairlines",
    "beard and mustache": "facial clean shadow handlebar walrus chevron horseshoe waxed",
    "head coverings": """
        hijab headscarf scarf scarves turban veil hood helmet crown tiara bandana headband headphones mask masked
        facemask niqab burqa burka balaclava hairband hairbands earphones earbuds airpods airpod headset halo horns
        shawl bonnets headdress hairnet scrunchie hairclip hairpin barrette bindi kippah yarmulke circlet laurel wreath
        respirator kerchief durag keffiyeh snorkel earmuffs diadem
        """,
    "age": """
        mid late early age year years wrinkles wrinkle twenties thirties forties fifties sixties seventies eighties
        nineties aged gen z genz
        """,
    "looks": "good ugly unattractive plain homely hideous posh unkempt rough rugged rustic",
    "build": "heavy big-boned bodied body build built figure size sized weight frame bmi physique",
    "pose": """
        tears tearing forgot posing pose facing staring stare stares glancing glance squint squinting squinty talking
          speaking shouting
        yelling screaming pushed perched turning listening thinking concentrating concentrated focused holding turned
        tilted leaning standing sitting pulled back front side left right upwards downwards backwards backward sideways
        away smoking winking wink winks yawning blinking blowing kissing sticking rolling resting eating drinking
        reading singing dancing running walking playing riding sleeping lying waving pointing touching biting licking
        whistling sneezing crouching praying working loud frontal quarter angle angled slept sleep sleeps sits sit sat
        stands stand stood holds hold held eats eat ate drinks drank smokes smoke peers peer turns turn faces points
        point talks talk speaks speak sings sing dances dance runs run ran walks walk plays play played works work
        worked rides ride rode reads read writes write thinks think shouts shout yells yell screams scream cries cry
        weeps weep blows blow bites bite licks lick kisses kiss hugs hug waves wave raises raise lifts lift leans lean
        lies lay bends bend tilts tilt nods nod shrugs shrug sneezes sneeze chews chew grimaces grimace grimacing
        puckers pucker smelling smells hides hide hidden hiding covers cover rests rest poses action gesture gestures
        salute
        """,
    "character": """
        damp ruddy slick timey corpse tall petite pleased satisfied determined attentive powerful sweet polite
          pleasant healthy fit sporty successful
        strange frustrated intense genuine interesting bold glamorous glamourous casual formal smartly groomed stylish
        trendy average wild sassy intellectual dreamy mysterious charming nerdy friendly smart clever intelligent wise
        confident shy kind-hearted mean evil scary creepy funny goofy silly cool tough rich poor famous proud tired
        sleepy sick relaxed calm nervous surprised shocked scared afraid excited cheeky manly feminine masculine
        surprise shock fear disgust anger joy sadness happiness despair confusion boredom pride guilt shame contempt
        confidence rage grief pain sorrow anxiety frightened terrified horrified startled astonished astounded amazed
        stunned impressed speechless puzzled perplexed confused bewildered curious skeptical sceptical suspicious
        doubtful embarrassed ashamed guilty blushing flustered awkward timid bashful smug arrogant cocky haughty snobby
        defiant stubborn anxious stressed panicked paranoid desperate hopeful hopeless lonely jealous envious exhausted
        weary drained drunk stoned drowsy dazed hungover ill dizzy hurt wounded injured dead undead alive peaceful
        serene tranquil zen thoughtful contemplative meditative inspired inspiring energetic lively vibrant enthusiastic
        eager playful flirty flirtatious seductive sultry romantic gentle tender warm kindly caring compassionate loving
        affectionate humble modest innocent naive pure honest loyal brave courageous heroic fierce fearless ferocious
        menacing intimidating threatening dangerous sinister ominous wicked villainous cruel ruthless cold icy distant
        aloof detached indifferent lazy bossy sarcastic sly cunning mischievous impish naughty rebellious edgy gritty
        macho dodgy shady sketchy weird odd quirky eccentric crazy insane unhinged dumb stupid clumsy chill laidback
        easygoing unbothered dope swag classy chic fashionable preppy emo gothic grunge punky retro vintage boho
        bohemian artsy geeky bookish scholarly studious outdoorsy suburban rural urban regal majestic dignified
        distinguished refined sophisticated wealthy homeless broke unemployed busy religious holy pious divine angelic
        devilish demonic heavenly ethereal magical mystical supernatural legendary mythical immortal fictional imaginary
        trans transgender cis gay lesbian queer bisexual drag butch femme pregnant single married divorced widowed
        divorcee engaged deaf blind disabled autistic toothy hairy sweaty dusty muddy bloody vegan alternative alt
        mainstream basic fancy unique original fresh expressive animated candid natural mild subtle faint personality
        vibe vibes aura energy attitude swagger charisma charm presence feel feeling emotion emotions emotional demeanor
        demeanour manner disposition quiet silent soulful spiritual thirsty hungry sleepless tense uneasy uncomfortable
        comfortable cozy cosy wholesome trustworthy approachable welcoming inviting likable likeable authoritative
        commanding dominant strict harsh hardened worn weathered haggard beaten caller
        """,
    "occupation": """
        corporate secret rock pop rap soccer football basketball baseball tennis hockey rugby cricket golf yoga ballet
        taxi bus truck cab construction police fire movie tv television news sports fashion college university school
        highschool flight office factory software computer it tech business circus opera jazz country martial military
        army marine air force space olympic freelance retail wedding primary elementary medical law political dental
        sous
        """,
    "style of the image": """
        realistic photorealistic detailed hd 4k 8k quality studio lighting professional blurry blurred sharp camera lens
        anime pixar style 3d render hyperrealistic hyperreal ultrarealistic hyperrealism photorealism realism lifelike
        ultra hyper uhd fullhd hdr raw bright simple ar stylize dslr mm f iso aperture bokeh depth field shallow focus
        exposure shutter kodak portra fujifilm canon nikon leica sony hasselblad polaroid film grain grainy analog
        analogue macro telephoto zoom wideangle fisheye vignette cinematic dramatic volumetric rim backlit backlight
        backlighting lit lights neon candlelight candlelit shaded glow glowing glare flare rays ray tracing raytraced
        octane unreal engine unity blender vray cgi rendering rendered masterpiece award winning trending artstation
        deviantart midjourney diffusion dalle pixel pixelated pixels resolution res hires highres vector art artwork
        artistic artstyle illustrated comic comics manga cartoonish cartoony disney dreamworks ghibli simpsons lego
        minecraft sims claymation clay chibi poly lowpoly isometric minimalist minimalistic abstract surreal surrealist
        surrealistic cubist cubism impressionist impressionism expressionist baroque renaissance medieval victorian
        futuristic cyberpunk steampunk fantasy scifi sci fi dystopian noir monochrome monochromatic bw grayscale
        greyscale sepia saturated desaturated pastel colors colours colorized vivid contrast palette tones hues duotone
        oil watercolor watercolour acrylic gouache ink charcoal crayon chalk pencil graphite pen brush strokes canvas
        fresco mosaic stained etching engraving woodcut sculpture statue bust marble doodle scribble lineart caricature
        sketched drawings mural graffiti poster logo emoji sticker thumbnail wallpaper banner passport id discord icon
        mugshot yearbook linkedin instagram facebook tinder dating cv resume stock snapshot shot shots photoshoot
        photography photographic photographed portraits portraiture pics pictures images photos imagery scene
        composition aesthetic ratio format png jpg jpeg seed prompt negative centered centred viewpoint perspective
        clear crisp crystal flawless perfect editorial vogue magazine cover glamour album unfiltered filter filtered
        edited photoshopped retouched ai generated fake irl life hour dusk dawn softbox ringlight spotlight flash
        overexposed underexposed texture textures textured draft study rendition version scan close
        """,
    "makeup": """
        mascara eyeliner blush blusher eyeshadow foundation concealer bronzer highlighter contour contoured contouring
        rouge glitter glittery smokey smoky winged matte glossy gloss nude nails powder powdered
        """,
    "jewelry": """
        jewelry jewellery pearl piercing piercings pierced ring rings stud chain chains bracelet watch brooch bling
        diamond diamonds hoop gem gems gemstone septum nosering beads beaded cufflinks medal medallion amulet crucifix
        dangly dangling
        """,
    "size and shape": """
        big large small tiny huge narrow wide thick thin full pointed pointy bushy arched rosy high prominent double
        elongated defined pronounced broad protruding pursed almond rounded crooked flared cleft symmetrical raised soft
        low wire rimmed rimless framed tinted weak chiseled chiselled sculpted angular sunken hollow hooked aquiline
        button upturned snub bulbous pug hawkish hook broken wonky uneven asymmetrical asymmetric saggy sagging droopy
        puffy swollen bulging bulgy deep set deepset hooded protuberant plucked horn horned shell tortoiseshell metal
        metallic plastic oversized mini massive enormous gigantic proportions proportional smooth flat safety
        prescription designer contact mirrored reflective polarized cracked tight clipped manicured sculptural pouty
        pillowy luscious chapped dry
        """,
    "eyes": """
        eyes eye eyed eyelashes lashes gaze bags eyelid eyelids lids monolid monolids heterochromia pupils iris irises
        eyepatch doe crossed crosseyed crow feet sockets lenses contacts twinkling twinkle sparkling sparkle gleaming
        beady bloodshot watery teary glassy slanted
        """,
    "mouth": """
        mouth lips lip teeth tooth tongue dimples dimple dimpled braces open closed gap gaps gapped buck toothless
        toothed fang fangs gums lipped mouthed overbite underbite grillz grill denture dentures chipped toothbrush
        toothpick
        """,
    "ears": "hearing aid aids ears ear eared earlobe earlobes",
    "cheeks and chin": """
        cheeks cheek cheekbones cheekbone cheeked chin chins chinned jaw jaws jawline jawed forehead foreheads neck
        throat jowls temples
        """,
    "shape of the face": "oval round square shaped shape heart faced visage",
    "freckles and scars": """
        freckles freckle freckled freckly scar scars scarred mole moles tattoo tattoos tattooed acne pimple pimples
        pimply zits spots spotty blemish blemishes birthmark birthmarks beautymark vitiligo burns burn pockmarked
        pockmarks rash bruise bruises bruised eczema warts wart scratch scratches wound inked tats tat sunspots
        """,
    "origin": """
        asian european american latino latina hispanic indian chinese japanese korean arab arabic mediterranean oriental
        nordic german roman latin latinx british english scottish welsh irish french italian spanish portuguese dutch
        belgian swiss austrian swedish norwegian danish finnish icelandic scandinavian greek turkish russian ukrainian
        polish czech slovak hungarian romanian bulgarian serbian croatian slavic balkan baltic lithuanian latvian
        estonian georgian armenian israeli jewish muslim christian hindu buddhist sikh catholic amish mormon persian
        iranian iraqi kurdish afghan pakistani bangladeshi bengali punjabi tamil nepali tibetan lankan thai vietnamese
        cambodian filipino filipina pinoy malaysian malay indonesian singaporean taiwanese mongolian kazakh uzbek
        egyptian moroccan algerian tunisian libyan ethiopian eritrean somali kenyan nigerian ghanaian senegalese
        congolese sudanese ugandan zulu maasai jamaican haitian cuban caribbean dominican puerto rican mexican
        guatemalan colombian venezuelan peruvian bolivian chilean argentinian argentine brazilian canadian australian
        aussie kiwi maori aboriginal indigenous native tribal polynesian hawaiian samoan inuit eskimo gypsy romani cajun
        creole celtic germanic anglo saxon parisian londoner texan californian desi mixed biracial multiracial
        interracial ethnic ethnicity race racial eastern western northern southern east west north south middle descent
        heritage ancestry origin nationality foreign foreigner
        """,
    "clothes": """
        polo attire jersey vest cardigan gown tuxedo costume shirts dress suits sweater jumper hoodie collar uniform
        clothes clothing dressed outfit turtleneck sweatshirt sweatshirts hoodies tees tank singlet waistcoat overalls
        dungarees apron robe robes kimono sari saree poncho cloak cape armor armour armored armoured chainmail pajamas
        pyjamas bathrobe swimsuit bikini lingerie bra corset leather denim wool woollen cotton linen silk satin velvet
        lace lacy floral flowery flannel plaid tartan tweed checkered chequered pinstripe pinstriped polka dot dots
        patterned knitwear knitted tuxedos lapel collared sleeves sleeveless strapless backless buttoned gloves glove
        belt suspenders trousers jeans pants shorts skirt shoes boots socks lab scrubs cassock habit toga tunic
        windbreaker parka anorak raincoat trench bomber trainers tracksuit sportswear streetwear suited shirtless
        topless naked barechested bare chested garment garments jumpers coats jackets sash badge cravat ascot surgical
        """,
    "hairdos": """
        sides part streak sidelocks buzzcut pixie wig topknot updo dyed highlights wet sleek styled roots dreadlocks
        dreads braid braids braided ponytail pigtails bun mohawk crew buzz spiky messy silky shiny slicked combed parted
        thinning undercut quiff fluffy layered tied loose plait plaits bob mullet fade bowl cut parting buns ponytails
        locs cornrows cornrow dreadlock mohawks fauxhawk pompadour beehive bouffant chignon bedhead bedraggled tousled
        windswept windblown shaggy unruly untamed frizz voluminous volume bouncy greasy oily gelled gel spiked spikes
        feathered choppy razored ombre balayage streaks streaked frosted tips tone bleached coloured uncombed uncut
        overgrown grown growing grow hairspray extensions weave wigs toupee hairpiece plaited twists twist knots bantu
        chopped shag crop lob lobs tapered taper faded sideswept swept brushed tucked pinned ends split curtain curtains
        strand strands lock wisps wisp wispy flyaway tangled tangles matted unwashed fuzzy fuzz peach sparse patchy
        coarse fine half
        """,
    "other colors": """
        blue green pink purple violet turquoise colourful colorful rainbow lavender lilac magenta indigo teal cyan aqua
        navy beige emerald mint fuchsia multicolored multicoloured color colour colored
        """,
    "groups of faces": """
        two three four five six several couple couples group crowd family families twin twins triplets pair duo trio
        team band
        """,
    "background": """
        background backgrounds backdrop behind street outside outdoors beach park moonlight moonlit sunlight sunlit
        daylight shadows sunshine inside indoors indoor outdoor forest forests woods jungle desert mountain mountains
        hill hills meadow garden gardens tree trees leaves flowers flower roses rose grass sky skies cloud clouds cloudy
        sun sunny sunset sunsets sunrise rain rainy raining snow snowing snowfall storm stormy fog foggy mist misty
        smoke wind windy winter summer spring autumn weather nighttime daytime day night evening morning noon moon stars
        starry galaxy sea ocean lake river waterfall water underwater island city cityscape skyline town village
        building buildings house home room bedroom kitchen bathroom bar pub cafe restaurant shop store market
        supermarket church temple castle palace prison jail hospital classroom library gym stadium stage club nightclub
        station train car airport window windows wall walls brick door surroundings environment setting landscape
        scenery gradient solid
        """,
    "objects": """
        cookies flour backpack bag handbag purse suitcase briefcase cane stick pipe cigarette cigar cig vape joint
        phone smartphone
        cellphone mobile laptop book books newspaper guitar violin piano drum drums microphone mic instrument dog cat
        cats dogs puppy kitten bird parrot horse pet pets umbrella coffee cup mug beer wine drink bottle glassware food
        burger pizza cake sandwich sword swords gun guns knife axe shield weapon wand staff broom ball racket bike
        bicycle motorcycle skateboard surfboard wings tail tails balloon balloons lollipop gum chewing bubblegum candle
        lamp mirror chair sofa table bed desk sign flag stethoscope toolbox hammer wrench ladder paintbrush easel
        whistle stroller toy teddy doll puppet object objects item items money cash coins knitting tablet keyboard tools
        tool basket bucket box boxes map letter envelope key keys clock
        """,
    "body": """
        shoulders chest arms arm hand hands finger fingers legs leg waistline hips belly tummy stomach muscles muscle
        biceps abs torso breasts breast boobs cleavage butt wrist elbow knees height weighty posture veins gut paunch
        bosom skull bones bone
        """,
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
    *("cheeks and chin", "head coverings", "clothes", "background", "objects", "body"),
)
LOOKS = words_of("""
    black blond blonde brown gray grey red ginger silver white golden gold yellow orange dark light pale fair bright
    blue green pink purple big small large little tiny huge long short wide narrow thick thin full round square oval
    straight curly bushy pointed pointy sharp deep heavy nice new old striped checked plain arched rosy strong hazel
    receding double very really snowy sandy burgundy maroon navy beige ivory cream turquoise teal emerald violet
    lavender
    lilac bronze colorful colourful sunny rainy foggy misty starry plump chubby thinning bony gold tan broad fake
    false set framed
    """)
# Words that qualify a color.
SHADES = words_of("""
    light dark bright deep jet pale medium ash dirty strawberry honey platinum natural dyed snow icy peroxide bottle
    champagne butter golden caramel
    chocolate chestnut ashy bleached warm cool rich vivid fiery flaming sandy pure raven midnight charcoal steel burnt
    """)
COLORS = words_of("""
    black blond brown gray grey red ginger silver white golden gold yellow orange dark light blue green pink purple
    hazel burgundy maroon navy beige cream turquoise teal violet lavender gold tan
    """)
SIZES = words_of("""
    big small large little long short wide narrow thick thin full round square heavy bushy huge massive framed rimmed
    oversized
    """)
KINDS_OF_HATS = words_of("""
    baseball flat top cowboy straw bucket knit knitted bobble sun sports bowler woolen
    hard wool leather felt fur furry fancy silly funny party pointy summer tall floppy brimmed trucker
    chef christmas witch pirate sailor panama golf backwards
    santa graduation police nurse elf hunting swim shower ski bike bicycle motorcycle army military paper
    """)
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
        "mid late early age aged ages about around roughly approximately circa over under above below older younger "
        "than nearly almost of the at in his her their -"
    ),
    words_of("year years yr yrs yo y o old olds something somethings ish odd plus aged -"),
)
# Short and wrong spellings of words of grammar, which are too short for the correction of single letters.
SHORTHAND = {
    "w": "with",
    "wit": "with",
    "whit": "with",
    "wth": "with",
    "n": "and",
    "u": "you",
    "ur": "your",
    "r": "are",
}
DETERMINERS = words_of("a an the his her their its some any my your no")
DENIALS = words_of("no not without never non neither nor hardly barely rarely lacking lacks minus sans zero")
LINKS = DENIALS | words_of("""
    with wearing wears wear in has have having and or but who of , is are on does do
    """)
_SMALL_NUMBERS = """
    one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen
    nineteen
    """
_TENS = "ten twenty thirty forty fifty sixty seventy eighty ninety hundred"
NUMBERS = {word: number for number, word in enumerate(_SMALL_NUMBERS.split(), 1)}
NUMBERS |= {word: 10 * tens for tens, word in enumerate(_TENS.split(), 1)}
HAIRS = words_of("hair haired hairs beard beards mustache moustache goatee stubble curls ponytail braids")
