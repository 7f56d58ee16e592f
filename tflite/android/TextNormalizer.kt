package tinybert

import java.text.Normalizer

/**
 * Text made plain before MediaPipe's or Task Library's tokenizer reads it, so that it finds the
 * word-pieces that the model was trained with. The same as tinybert_tf/edge/normalizer.py;
 * ../golden_normalizer.json holds texts with what has to come out (`normalized`).
 *
 *     classifier.classify(TextNormalizer.normalize("Naïve\u00a0café!"))  // "naive cafe !"
 *
 * Platform calls and what they are in Python's unicodedata:
 *   Character.getType(codePoint)          category(character)
 *   java.text.Normalizer, Form.NFD        normalize("NFD", text)
 *   Character.toLowerCase(codePoint)      character.lower(), of one character and in no language.
 *     Not String.lowercase(): it writes a word's last sigma differently.
 *
 * Android's ICU brings the tables, so they are as old as the system: Unicode 8 on Android 7, 13 on
 * Android 12, 15 on Android 14. A character that a system does not know yet stays as it is; none
 * of them is in the usual vocabularies. Seven characters changed their category between versions
 * and have a fixed one here.
 */
object TextNormalizer {
    // Words of their own. The gap before 0x2B920 is BERT's.
    private val IDEOGRAPHS = arrayOf(
        0x3400..0x4DBF,
        0x4E00..0x9FFF,
        0xF900..0xFAFF,
        0x20000..0x2A6DF,
        0x2A700..0x2B81F,
        0x2B920..0x2CEAF,
        0x2F800..0x2FA1F,
    )
    private val SPACES = setOf(
        Character.SPACE_SEPARATOR,
        Character.LINE_SEPARATOR,
        Character.PARAGRAPH_SEPARATOR,
    ).map { it.toInt() }.toSet()
    private val REMOVED = setOf(
        Character.CONTROL,
        Character.FORMAT,
        Character.PRIVATE_USE,
        Character.SURROGATE,
    ).map { it.toInt() }.toSet()
    private val PUNCTUATION = setOf(
        Character.CONNECTOR_PUNCTUATION,
        Character.DASH_PUNCTUATION,
        Character.START_PUNCTUATION,
        Character.END_PUNCTUATION,
        Character.INITIAL_QUOTE_PUNCTUATION,
        Character.FINAL_QUOTE_PUNCTUATION,
        Character.OTHER_PUNCTUATION,
    ).map { it.toInt() }.toSet()
    private val ACCENT = Character.NON_SPACING_MARK.toInt()
    private val CATEGORIES = mapOf(
        0x166D to Character.OTHER_PUNCTUATION.toInt(),
        0x1734 to ACCENT,
        0x1885 to Character.OTHER_LETTER.toInt(),
        0x1886 to Character.OTHER_LETTER.toInt(),
        0xA9BD to ACCENT,
        0x111C9 to ACCENT,
        0x1171E to ACCENT,
    )

    /** `lowerCase` is `lower_case` in the file's tinybert_tf.json. */
    fun normalize(text: String, lowerCase: Boolean = true): String {
        var plain = buildString { codePoints(text).forEach { append(cleaned(it)) } }
        if (lowerCase) {
            val decomposed = Normalizer.normalize(plain, Normalizer.Form.NFD)
            plain = buildString {
                for (code in codePoints(decomposed)) {
                    if (category(code) != ACCENT) appendCodePoint(Character.toLowerCase(code))
                }
            }
        }
        val spaced = buildString {
            for (code in codePoints(plain)) {
                if (isPunctuation(code)) append(alone(code)) else appendCodePoint(code)
            }
        }
        return spaced.split(' ').filter { it.isNotEmpty() }.joinToString(" ")
    }

    private fun codePoints(text: String): List<Int> {
        val codes = ArrayList<Int>(text.length)
        var place = 0
        while (place < text.length) {
            codes.add(text.codePointAt(place))
            place += Character.charCount(codes.last())
        }
        return codes
    }

    private fun category(code: Int): Int = CATEGORIES[code] ?: Character.getType(code)

    private fun alone(code: Int): String = " " + String(Character.toChars(code)) + " "

    private fun cleaned(code: Int): String = when {
        code == 0x09 || code == 0x0A || code == 0x0D -> " "
        category(code) in SPACES -> " "
        code == 0xFFFD || category(code) in REMOVED -> ""
        IDEOGRAPHS.any { code in it } -> alone(code)
        else -> String(Character.toChars(code))
    }

    private fun isPunctuation(code: Int): Boolean =
        (code in 0x21..0x7E && !Character.isLetterOrDigit(code)) || category(code) in PUNCTUATION
}
