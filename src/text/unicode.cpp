#include "text/unicode.h"

#include <unicode/brkiter.h>
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>
#include <unicode/utext.h>

#include <algorithm>
#include <memory>

#include "base/error.h"
#include "text/utf8.h"

namespace tessera {

static_assert(U_UPPERCASE_LETTER == 1 && U_OTHER_LETTER == 5 && U_NON_SPACING_MARK == 6 &&
              U_COMBINING_SPACING_MARK == 8 && U_DECIMAL_DIGIT_NUMBER == 9 &&
              U_OTHER_NUMBER == 11 && U_CONTROL_CHAR == 15 && U_SURROGATE == 18 &&
              U_DASH_PUNCTUATION == 19 && U_CONNECTOR_PUNCTUATION == 22 &&
              U_OTHER_PUNCTUATION == 23 && U_INITIAL_PUNCTUATION == 28 &&
              U_FINAL_PUNCTUATION == 29 && U_UNASSIGNED == 0);

std::uint32_t category_bit(char32_t c) { return 1u << u_charType(static_cast<UChar32>(c)); }

std::uint32_t category_bit_unicode8(char32_t c) {
  switch (c) {
    case 0x166D:
    case 0x111C9:
      return 1u << U_OTHER_PUNCTUATION;
    case 0x1734:
      return 1u << U_NON_SPACING_MARK;
    case 0x1885:
    case 0x1886:
      return 1u << U_OTHER_LETTER;
    case 0xA9BD:
      return 1u << U_COMBINING_SPACING_MARK;
    default:
      break;
  }
  UVersionInfo age;
  u_charAge(static_cast<UChar32>(c), age);
  return age[0] > 8 ? 1u << U_UNASSIGNED : category_bit(c);
}

std::uint32_t category_bit_unicode14(char32_t c) {
  // Of the basic plane Unicode 15 took only two places.
  if (c < 0x10000 && c != 0xCF3 && c != 0xECE) return category_bit(c);
  UVersionInfo age;
  u_charAge(static_cast<UChar32>(c), age);
  return age[0] > 14 ? 1u << U_UNASSIGNED : category_bit(c);
}

std::uint32_t category_mask(std::string_view name) {
  const std::string terminated(name);
  const int value = u_getPropertyValueEnum(UCHAR_GENERAL_CATEGORY_MASK, terminated.c_str());
  return value == UCHAR_INVALID_CODE ? 0 : static_cast<std::uint32_t>(value);
}

bool is_white_space(char32_t c) { return u_isUWhiteSpace(static_cast<UChar32>(c)); }

bool is_word(char32_t c) {
  const auto character = static_cast<UChar32>(c);
  return u_isUAlphabetic(character) || (category_bit(c) & (kMark | kDecimalNumber | kConnector)) ||
         c == 0x200C || c == 0x200D;
}

char32_t fold_case(char32_t c) { return u_foldCase(static_cast<UChar32>(c), U_FOLD_CASE_DEFAULT); }

void append_lower(std::string& out, char32_t c) {
  // The only unconditional lower-case mapping of more than one character (SpecialCasing.txt).
  if (c == 0x130) {
    out += "i\xCC\x87";
    return;
  }
  append_utf8(out, u_tolower(static_cast<UChar32>(c)));
}

void for_each_grapheme(std::string_view text, const std::function<void(std::string_view)>& handle) {
  UErrorCode status = U_ZERO_ERROR;
  const std::unique_ptr<icu::BreakIterator> breaks(
      icu::BreakIterator::createCharacterInstance(icu::Locale::getRoot(), status));
  UText* source =
      utext_openUTF8(nullptr, text.data(), static_cast<std::int64_t>(text.size()), &status);
  if (U_SUCCESS(status)) breaks->setText(source, status);
  if (U_FAILURE(status)) {
    utext_close(source);
    throw Error(ErrorKind::kInternal,
                std::string("ICU cannot find graphemes: ") + u_errorName(status));
  }
  try {
    std::int32_t begin = breaks->first();
    for (std::int32_t end = breaks->next(); end != icu::BreakIterator::DONE; end = breaks->next()) {
      handle(text.substr(begin, end - begin));
      begin = end;
    }
  } catch (...) {
    utext_close(source);
    throw;
  }
  utext_close(source);
}

namespace {

const icu::Normalizer2& instance(NormalForm form) {
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* normalizer = nullptr;
  switch (form) {
    case NormalForm::kNfc:
      normalizer = icu::Normalizer2::getNFCInstance(status);
      break;
    case NormalForm::kNfd:
      normalizer = icu::Normalizer2::getNFDInstance(status);
      break;
    case NormalForm::kNfkc:
      normalizer = icu::Normalizer2::getNFKCInstance(status);
      break;
    case NormalForm::kNfkd:
      normalizer = icu::Normalizer2::getNFKDInstance(status);
      break;
  }
  if (U_FAILURE(status)) {
    throw Error(ErrorKind::kInternal,
                std::string("ICU has no Unicode normalisation data: ") + u_errorName(status));
  }
  return *normalizer;
}

}  // namespace

std::string normalize(std::string_view text, NormalForm form) {
  if (std::all_of(text.begin(), text.end(), [](char c) { return c >= 0; })) {
    return std::string(text);
  }
  UErrorCode status = U_ZERO_ERROR;
  const icu::UnicodeString source = icu::UnicodeString::fromUTF8(
      icu::StringPiece(text.data(), static_cast<std::int32_t>(text.size())));
  const icu::UnicodeString result = instance(form).normalize(source, status);
  if (U_FAILURE(status)) {
    throw Error(ErrorKind::kInternal,
                std::string("Unicode normalisation failed: ") + u_errorName(status));
  }
  std::string out;
  result.toUTF8String(out);
  return out;
}

}  // namespace tessera
