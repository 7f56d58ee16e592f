import Foundation

/// Text made plain before MediaPipe's or Task Library's tokenizer reads it, so that it finds the
/// word-pieces that the model was trained with. The same as tinybert_tf/edge/normalizer.py;
/// ../golden_normalizer.json holds texts with what has to come out (`normalized`).
///
///     classifier.classify(text: TextNormalizer.normalize("Naïve\u{A0}café!"))  // "naive cafe !"
///
/// Platform calls and what they are in Python's unicodedata:
///   scalar.properties.generalCategory         category(character)
///   decomposedStringWithCanonicalMapping      normalize("NFD", text)
///   scalar.properties.lowercaseMapping        character.lower(), of one scalar and in no language.
///     Not String.lowercased(): it may write a word's last sigma differently.
///
/// Work on unicodeScalars, never on Character: one Character may hold a letter and its accents.
/// From Swift 5.7 on the tables are those of the standard library (Unicode 14 or newer); before that,
/// and for the decomposition, they are the system's. A character that they do not know yet stays as
/// it is; none of them is in the usual vocabularies. Seven characters changed their category between
/// versions and have a fixed one here.
enum TextNormalizer {
    // Words of their own. The gap before 0x2B920 is BERT's.
    private static let ideographs: [ClosedRange<UInt32>] = [
        0x3400...0x4DBF,
        0x4E00...0x9FFF,
        0xF900...0xFAFF,
        0x20000...0x2A6DF,
        0x2A700...0x2B81F,
        0x2B920...0x2CEAF,
        0x2F800...0x2FA1F,
    ]
    private static let spaces: Set<Unicode.GeneralCategory> = [
        .spaceSeparator, .lineSeparator, .paragraphSeparator,
    ]
    private static let removed: Set<Unicode.GeneralCategory> = [
        .control, .format, .privateUse, .surrogate,
    ]
    private static let punctuation: Set<Unicode.GeneralCategory> = [
        .connectorPunctuation, .dashPunctuation, .openPunctuation, .closePunctuation,
        .initialPunctuation, .finalPunctuation, .otherPunctuation,
    ]
    private static let categories: [UInt32: Unicode.GeneralCategory] = [
        0x166D: .otherPunctuation,
        0x1734: .nonspacingMark,
        0x1885: .otherLetter,
        0x1886: .otherLetter,
        0xA9BD: .nonspacingMark,
        0x111C9: .nonspacingMark,
        0x1171E: .nonspacingMark,
    ]

    /// `lowerCase` is `lower_case` in the file's tinybert_tf.json.
    static func normalize(_ text: String, lowerCase: Bool = true) -> String {
        var plain = text.unicodeScalars.map(cleaned).joined()
        if lowerCase {
            plain = plain.decomposedStringWithCanonicalMapping.unicodeScalars
                .filter { category($0) != .nonspacingMark }
                .map { $0.properties.lowercaseMapping }
                .joined()
        }
        let spaced = plain.unicodeScalars.map { isPunctuation($0) ? " \($0) " : String($0) }.joined()
        return spaced.unicodeScalars.split(separator: " ").map { String($0) }.joined(separator: " ")
    }

    private static func category(_ scalar: Unicode.Scalar) -> Unicode.GeneralCategory {
        categories[scalar.value] ?? scalar.properties.generalCategory
    }

    private static func cleaned(_ scalar: Unicode.Scalar) -> String {
        if ["\t", "\n", "\r"].contains(scalar) || spaces.contains(category(scalar)) {
            return " "
        }
        if scalar.value == 0xFFFD || removed.contains(category(scalar)) {
            return ""
        }
        let alone = ideographs.contains { $0.contains(scalar.value) }
        return alone ? " \(scalar) " : String(scalar)
    }

    private static func isPunctuation(_ scalar: Unicode.Scalar) -> Bool {
        let isLetterOrDigit = CharacterSet.alphanumerics.contains(scalar)
        return (scalar.isASCII && scalar.value > 0x20 && !isLetterOrDigit)
            || punctuation.contains(category(scalar))
    }
}
