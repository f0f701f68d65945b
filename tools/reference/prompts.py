"""Prompt cleaning and tokenisation, as WanPipeline does them."""

import html
import tempfile

import ftfy
import sentencepiece
from diffusers.pipelines.wan import pipeline_wan
from transformers import T5Tokenizer, T5TokenizerFast

MAX_LENGTH = 512

# (name, text). Plain cleaning that a port should do.
CLEANING = (
    ("plain", "A red fox runs through the snow."),
    ("empty", ""),
    ("only_space", " \t\n "),
    ("curly_single", "the fox\u2019s \u2018quick\u2019 run\u201a \u201bwell"),
    ("curly_double", "\u201cquick\u201d \u201elow\u201f fox"),
    ("prime_and_guillemets", "5\u2032 tall, 3\u2033 wide, \u00abfox\u00bb \u2039cat\u203a"),
    ("full_width", "\uff21 \uff52\uff45\uff44 \uff46\uff4f\uff58 \uff11\uff12\uff13\uff01"),
    ("full_width_punctuation", "a fox\uff0c a cat\uff1b \uff08slow\uff09\uff1a \uff1f\uff01\uff5e"),
    ("half_width_katakana", "\uff76\uff9e\uff77 \uff8a\uff9f"),
    ("ideographic_space", "cat\u3000dog"),
    ("ligatures", "a \ufb01sh, a \ufb02ower, o\ufb00, a\ufb03ne, ba\ufb04e, \ufb05, \ufb06, \u0133, \u01c6, \u0149"),
    ("entity_once", "fox &amp; cat &lt;3 &quot;snow&quot; &#39;x&#39; &#x41; &eacute;"),
    ("entity_twice", "fox &amp;amp; cat &amp;lt;b&amp;gt;"),
    ("entity_three_times", "fox &amp;amp;amp; cat"),
    ("entity_and_tag", "<b>fox</b> &amp; cat"),
    ("entity_without_semicolon", "fox &amp cat &copy 2 &notit; &unknown; &"),
    ("entity_nbsp", "fox&nbsp;and&amp;nbsp;cat"),
    ("entity_numeric_odd", "&#8217; &#x2019; &#128; &#0; &#1114112; &#xD800;"),
    ("nbsp", "red\u00a0fox\u00a0 runs"),
    ("spaces_of_unicode", "a\u2002b\u2003c\u2009d\u200ae\u202ff\u205fg\u1680h"),
    ("zero_width", "a\u200bb\u200cc\u200dd\u2060e\ufefff"),
    ("byte_order_mark", "\ufeffred fox"),
    ("soft_hyphen", "slow\u00admotion"),
    ("bidi_marks", "\u200efox\u200f \u202acat\u202c \u2066dog\u2069"),
    ("control_chars", "a\u0000b\u0001c\u0008d\u000be\u000cf\u001fg\u007fh"),
    ("c1_control_chars", "a\u0080b\u0085c\u009fd"),
    ("ansi_escape", "\u001b[1mred\u001b[0m fox"),
    ("interlinear", "a\ufff9b\ufffac\ufffbd\ufffc"),
    ("line_breaks", "a\nb\r\nc\rd\u2028e\u2029f"),
    ("tabs_and_runs", "  a \t\t b\n\n\n c  "),
    ("emoji", "a fox \U0001f98a and snow \u2744\ufe0f"),
    ("emoji_zwj", "family \U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f44d\U0001f3fd \U0001f1eb\U0001f1f7"),
    ("nfc_composed", "caf\u00e9 na\u00efve \u00e5"),
    ("nfc_decomposed", "cafe\u0301 nai\u0308ve A\u030a \u1100\u1161\u11a8"),
    ("nfc_singletons", "\u212b \u2126 \u212a \u0340"),
    ("nfc_order", "q\u0307\u0323 a\u0302\u0301"),
    ("compatibility_kept", "x\u00b2 \u00bd \u2460 \u2122 \u33a5 \u2026 \u2013 \u2014"),
    ("cjk_punctuation", "\u4e00\u53ea\u732b\uff0c\u5728\u6d77\u8fb9\u3002\u300c\u96ea\u300d\u3001\uff01\uff1f"),
    ("japanese", "\u732b\u304c\u6d77\u3092\u898b\u308b\u3002"),
    ("cyrillic", "\u041a\u043e\u0442 \u0438\u0434\u0451\u0442 \u043f\u043e \u0441\u043d\u0435\u0433\u0443."),
    ("latin_accents", "El ni\u00f1o corre por la stra\u00dfe, \u0152uvre, \u0141\u00f3d\u017a"),
    ("greek_unknown_chars", "\u03b1\u03bb\u03c6\u03b1 fox \u03a9"),
    ("arabic_unknown_chars", "\u0642\u0637\u0629 fox"),
    ("mixed_quotes_and_entities", "\u201cfox\u201d &amp;quot;cat&amp;quot; \u2018dog&rsquo;"),
    ("surrogate_pair_letters", "\U0001d400\U0001d401 \U0001d7d8"),
    ("private_use", "a\ue000b"),
    ("noncharacter", "a\uffffb"),
    ("replacement_char", "a\ufffdb"),
    ("literal_special_token", "fox </s> cat <pad> <unk> dog"),
    ("literal_extra_id", "fox <extra_id_0> cat<extra_id_15>"),
    ("literal_byte_piece", "fox <0x41> cat"),
    ("lower_one_eighth_block", "fox \u2581cat \u2581\u2581dog"),
    ("long_word", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
    ("digits", "4k, 24 fps, 1280x720, 100%"),
    (
        "wan_negative_english",
        "Bright tones, overexposed, static, blurred details, subtitles, style, works, paintings, images, static, "
        "overall gray, worst quality, low quality, JPEG compression residue, ugly, incomplete, extra fingers, poorly "
        "drawn hands, poorly drawn faces, deformed, disfigured, misshapen limbs, fused fingers, still picture, messy "
        "background, three legs, many people in the background, walking backwards",
    ),
)

# Mojibake that ftfy repairs; a port may leave these alone.
MOJIBAKE = (
    ("latin1_utf8", "caf\u00c3\u00a9 na\u00c3\u00afve"),
    ("cp1252_quote", "the fox\u00e2\u20ac\u2122s \u00e2\u20ac\u0153quick\u00e2\u20ac\u009d run"),
    ("cp1252_dash", "fox \u00e2\u20ac\u201d cat"),
    ("double", "caf\u00c3\u0192\u00c2\u00a9"),
    ("nbsp_lost", "voil\u00c3 le travail"),
    ("cyrillic", "\u00d0\u00ba\u00d0\u00be\u00d1\u201a"),
    ("emoji", "fox \u00f0\u0178\u00a6\u0160"),
    ("c1_as_cp1252", "fox\u0092s \u0093quick\u0094 run"),
)

# Cut at several limits.
REPEATED = "the "  # one token
TRUNCATION_TEXT = "A red fox runs through the snow while the sun sets behind the hills."


def tokenizers(folder):
    """The tokenizer as the pipeline gets it, and the sentencepiece library itself."""
    hugging_face = T5TokenizerFast.from_pretrained(folder)
    library = sentencepiece.SentencePieceProcessor(model_file=str(folder / "spiece.model"))
    return hugging_face, library


def hugging_face_ids(tokenizer, text, max_length=MAX_LENGTH):
    """The call of WanPipeline, without the padding."""
    found = tokenizer(
        [text],
        padding="max_length",
        max_length=max_length,
        truncation=True,
        add_special_tokens=True,
        return_attention_mask=True,
        return_tensors="pt",
    )
    length = int(found.attention_mask.sum())
    ids = found.input_ids[0].tolist()
    if len(ids) != max_length or any(ids[length:]):
        raise RuntimeError("unexpected padding")
    return ids[:length]


def library_ids(library, text, max_length=MAX_LENGTH):
    return library.encode(text)[: max_length - 1] + [library.eos_id()]


def fold_bytes(library, ids):
    """Byte pieces back to <unk>: one for each run of characters that the vocabulary lacks."""
    folded = []
    for number in ids:
        if not library.is_byte(number):
            folded.append(number)
        elif not folded or folded[-1] != library.unk_id():
            folded.append(library.unk_id())
    return folded


def describe(name, text, hugging_face, library):
    cleaned = pipeline_wan.prompt_clean(text)
    by_hugging_face = hugging_face_ids(hugging_face, cleaned)
    by_library = library_ids(library, cleaned)
    entry = {
        "name": name,
        "text": text,
        "after_ftfy": ftfy.fix_text(text),
        "cleaned": cleaned,
        "cleaned_without_ftfy": pipeline_wan.whitespace_clean(html.unescape(html.unescape(text)).strip()),
        "ids": by_hugging_face,
        "ids_sentencepiece": by_library,
        "pieces_sentencepiece": library.encode(cleaned, out_type=str),
        "same": by_hugging_face == by_library,
        "same_after_folding_bytes": by_hugging_face == fold_bytes(library, by_library),
    }
    return entry


def truncation(hugging_face, library):
    whole = hugging_face_ids(hugging_face, TRUNCATION_TEXT)
    cases = []
    for limit in (1, 2, 3, len(whole) - 1, len(whole), len(whole) + 1, MAX_LENGTH):
        ids = hugging_face_ids(hugging_face, TRUNCATION_TEXT, limit)
        if ids != library_ids(library, TRUNCATION_TEXT, limit):
            raise RuntimeError("truncation differs from the library's")
        cases.append({"text": TRUNCATION_TEXT, "max_length": limit, "ids": ids})
    # At the pipeline's own limit: one token less than fits, exactly, one more, and far more.
    for count in (MAX_LENGTH - 2, MAX_LENGTH - 1, MAX_LENGTH, 700):
        text = REPEATED * count
        ids = hugging_face_ids(hugging_face, text)
        before = len(library.encode(text))
        if ids != library_ids(library, text) or before != count * len(library.encode(REPEATED)):
            raise RuntimeError("unexpected tokens of the repeated text")
        entry = {"repeat": REPEATED, "times": count, "max_length": MAX_LENGTH}
        cases.append({**entry, "tokens_before_eos": before, "ids": ids})
    return cases


def check_tokenizer_json(folder, hugging_face, texts):
    """spiece.model alone must give the same ids as the tokenizer.json that transformers would write."""
    with tempfile.TemporaryDirectory() as temporary:
        hugging_face.save_pretrained(temporary)
        other = T5Tokenizer.from_pretrained(temporary)
    for text in texts:
        if hugging_face_ids(hugging_face, text) != hugging_face_ids(other, text):
            raise RuntimeError(f"tokenizer.json differs: {text!r}")


def dump(folder):
    hugging_face, library = tokenizers(folder)
    cleaning = [describe(name, text, hugging_face, library) for name, text in CLEANING]
    mojibake = [describe(name, text, hugging_face, library) for name, text in MOJIBAKE]
    check_tokenizer_json(folder, hugging_face, [entry["cleaned"] for entry in cleaning + mojibake])
    return {
        "note": (
            "cleaned = WanPipeline's prompt_clean with ftfy installed. ids = what WanPipeline feeds UMT5, without the "
            "padding: follow these. ids_sentencepiece = the sentencepiece library on the cleaned text, plus </s>."
        ),
        "cleaning": cleaning,
        "mojibake": mojibake,
        "truncation": truncation(hugging_face, library),
    }
