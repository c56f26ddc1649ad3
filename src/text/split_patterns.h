// The pre-tokenisation patterns that matter, as hand-written scanners over UTF-8.
#pragma once

#include <optional>
#include <string_view>

namespace tessera {

// 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
extern const std::string_view kGpt2Pattern;
// (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|
// \s*[\r\n]+|\s+(?!\S)|\s+
extern const std::string_view kLlama3Pattern;
// The same with \p{N} for \p{N}{1,3} (Qwen 2, StableLM 2).
extern const std::string_view kQwen2Pattern;
// Mistral's "tekken"; matched by Regex.
extern const std::string_view kTekkenPattern;

enum class SplitPattern { kGpt2, kLlama3, kQwen2 };

// The scanner for a pattern, recognised by its spelling.
std::optional<SplitPattern> known_split_pattern(std::string_view pattern);

// End of the piece that starts at text[begin]. Every byte of a text belongs to a piece. Requires
// valid UTF-8 and begin < text.size(). Linear in the piece, apart from the white space behind it.
std::size_t next_piece(SplitPattern pattern, std::string_view text, std::size_t begin);

}  // namespace tessera
