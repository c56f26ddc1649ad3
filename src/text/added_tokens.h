// Added tokens: strings that become one id before anything else looks at the text.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace tessera {

struct AddedToken {
  std::int32_t id = 0;
  std::string content;
  bool special = false;
  bool single_word = false, lstrip = false, rstrip = false;
  bool normalized = false;  // matched in the normalised text
};

// Leftmost-longest matching over one set of strings: a trie over bytes, whose first level is a
// table so that ordinary text is passed over quickly.
class AddedTokenMatcher {
 public:
  struct Segment {
    std::size_t begin, end;
    std::int32_t token;  // index into tokens(); -1 is text
  };

  AddedTokenMatcher();
  // `pattern` is what the text is searched for; an empty one never matches. Of two equal patterns
  // the later counts.
  void add(AddedToken token, std::string_view pattern);

  bool empty() const { return tokens_.empty(); }
  bool has_special() const { return has_special_; }
  const AddedToken& token(std::int32_t index) const { return tokens_[index]; }

  enum class Verdict { kTake, kSkip, kSkipOneCharacter };
  // Cuts text into segments that cover it, except white space taken by lstrip and rstrip.
  // `judge` decides on special tokens: kSkip passes over the whole match.
  void split(std::string_view text,
             const std::function<Verdict(std::size_t begin, std::size_t end)>& judge,
             std::vector<Segment>& out) const;

 private:
  struct Node {
    std::int32_t token = -1;
    std::vector<std::pair<unsigned char, std::int32_t>> children;
  };
  // Longest match that begins at text[begin]; its end, or npos.
  std::size_t match(std::string_view text, std::size_t begin, std::int32_t& token) const;

  std::vector<AddedToken> tokens_;
  std::vector<Node> nodes_;
  bool first_[256] = {};
  bool has_special_ = false;
};

}  // namespace tessera
