import java.io.File
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonPrimitive
import kotlinx.serialization.json.jsonPrimitive
import tinybert.TextNormalizer

/** Reads texts, a JSON string a line; writes each normalized, in lower case and as it is. */
fun main(arguments: Array<String>) {
    val (texts, results) = arguments.map(::File)
    results.printWriter(Charsets.UTF_8).use { writer ->
        texts.forEachLine(Charsets.UTF_8) { line ->
            val text = Json.parseToJsonElement(line).jsonPrimitive.content
            for (lowerCase in listOf(true, false)) {
                writer.println(JsonPrimitive(TextNormalizer.normalize(text, lowerCase)))
            }
        }
    }
}
