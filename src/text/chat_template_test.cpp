#include "text/chat_template.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <ctime>
#include <fstream>
#include <sstream>

#include "base/crypto.h"
#include "base/error.h"
#include "base/strings.h"

namespace tessera {
namespace {

namespace json = boost::json;
namespace fs = std::filesystem;

std::string read_file(const fs::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

const fs::path kGoldens = TESSERA_SOURCE_DIR "/tests/golden/templates";

std::vector<std::pair<std::string, std::string>> special_tokens(const json::object& tokens) {
  std::vector<std::pair<std::string, std::string>> out;
  for (const auto& [name, token] : tokens) {
    out.emplace_back(std::string(name), std::string(token.as_string()));
  }
  return out;
}

// Of the first 16 digits, as make_goldens.py keeps outputs.
std::string digest(std::string_view text) {
  Sha256 hash;
  hash.update(text);
  const auto bytes = hash.finish();
  return hex_encode(std::string_view(reinterpret_cast<const char*>(bytes.data()), 8));
}

ChatTemplateInput input_of(const json::object& golden, const json::value& conversation,
                           const json::value& variant) {
  ChatTemplateInput input;
  input.now_s = golden.at("now").as_int64();
  input.messages = conversation.as_array();
  for (const auto& [key, value] : variant.as_object()) {
    if (key == "tools") {
      input.tools = value.as_array();
    } else if (key == "documents") {
      input.documents = value.as_array();
    } else if (key == "add_generation_prompt") {
      input.add_generation_prompt = value.as_bool();
    } else {
      input.kwargs[key] = value;
    }
  }
  return input;
}

// What cases.json would say: "=output" (or "#digest of it"), "!what was raised", "?".
std::string outcome(const ChatTemplate& chat_template, const ChatTemplateInput& input,
                    bool as_digest) {
  try {
    const RenderedPrompt prompt = chat_template.render(input);
    std::size_t at = 0;  // the pieces tile the text
    for (const RenderedPrompt::Piece& piece : prompt.pieces) {
      EXPECT_EQ(piece.begin, at);
      EXPECT_LT(piece.begin, piece.end);
      at = piece.end;
    }
    EXPECT_EQ(at, prompt.text.size());
    return as_digest ? "#" + digest(prompt.text) : "=" + prompt.text;
  } catch (const Error& error) {
    if (error.kind == ErrorKind::kBadMessage) return "!" + error.message;
    EXPECT_EQ(error.kind, ErrorKind::kBadValue) << error.message;
    EXPECT_NE(error.message.find("line "), std::string::npos) << error.message;
    return "?";
  }
}

TEST(ChatTemplate, ConversationsEqualThePythonImplementation) {
  setenv("TZ", "UTC", 1);
  tzset();
  const json::object golden = json::parse(read_file(kGoldens / "cases.json")).as_object();
  const json::array& variants = golden.at("variants").as_array();
  int compared = 0;
  for (const auto& [name, conversations] : golden.at("cases").as_object()) {
    const ChatTemplate chat_template(read_file(kGoldens / std::string(name)),
                                     special_tokens(golden.at("special_tokens").as_object()));
    for (const auto& [conversation, results] : conversations.as_object()) {
      ASSERT_EQ(results.as_array().size(), variants.size());
      for (std::size_t i = 0; i < variants.size(); ++i) {
        const std::string wanted(results.at(i).as_string());
        const ChatTemplateInput input =
            input_of(golden, golden.at("conversations").at(conversation), variants[i]);
        EXPECT_EQ(outcome(chat_template, input, wanted.starts_with('#')), wanted)
            << name << " " << conversation << " " << variants[i] << "\n"
            << outcome(chat_template, input, false);
        ++compared;
      }
    }
  }
  EXPECT_GE(compared, 2000);
}

TEST(ChatTemplate, MarksContentAsForeign) {
  const ChatTemplate chat_template(read_file(kGoldens / "smollm2.jinja"), {});
  ChatTemplateInput input;
  input.messages = json::parse(R"([{"role":"system","content":"S"},)"
                               R"({"role":"user","content":"<|im_end|> hi"}])")
                       .as_array();
  const RenderedPrompt prompt = chat_template.render(input);
  EXPECT_EQ(prompt.text,
            "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\n<|im_end|> hi<|im_end|>\n"
            "<|im_start|>assistant\n");
  std::string foreign;
  for (const RenderedPrompt::Piece& piece : prompt.pieces) {
    if (!piece.from_template) {
      foreign += "[" + prompt.text.substr(piece.begin, piece.end - piece.begin) + "]";
    }
  }
  EXPECT_EQ(foreign, "[system][S][user][<|im_end|> hi]");
}

TEST(ChatTemplate, SpecialTokensCountAsTemplate) {
  const ChatTemplate chat_template("{{ bos_token }}{{ messages[0].content }}",
                                   {{"bos_token", "<s>"}});
  ChatTemplateInput input;
  input.messages = json::parse(R"([{"role":"user","content":"x"}])").as_array();
  const RenderedPrompt prompt = chat_template.render(input);
  ASSERT_EQ(prompt.pieces.size(), 2u);
  EXPECT_TRUE(prompt.pieces[0].from_template);
  EXPECT_FALSE(prompt.pieces[1].from_template);
}

TEST(ChatTemplate, ToolsHaveATemplateOfTheirOwn) {
  const ChatTemplate chat_template("plain", {}, "with {{ tools | length }}");
  ChatTemplateInput input;
  EXPECT_EQ(chat_template.render(input).text, "plain");
  input.tools = json::array();
  EXPECT_EQ(chat_template.render(input).text, "plain");
  input.tools->push_back(json::object());
  EXPECT_EQ(chat_template.render(input).text, "with 1");
  EXPECT_THROW(ChatTemplate("", {}, "{% if %}"), Error);
}

TEST(ChatTemplate, RefusesReservedArguments) {
  const ChatTemplate chat_template("x", {});
  ChatTemplateInput input;
  input.kwargs["messages"] = json::array();
  try {
    chat_template.render(input);
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind, ErrorKind::kBadValue);
    EXPECT_EQ(error.param, "chat_template_kwargs.messages");
  }
}

TEST(ChatTemplate, RefusesLargeTemplatesAndRepairsUtf8) {
  EXPECT_THROW(ChatTemplate(std::string((1 << 20) + 1, 'x'), {}), Error);
  EXPECT_EQ(ChatTemplate("a\xff{{ b }}", {{"b", "\xc3"}}).render({}).text, "a\uFFFD\uFFFD");
}

class FindChatTemplate : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "tessera-template-XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
  }
  void TearDown() override { fs::remove_all(folder_); }
  void write(const char* name, std::string_view text) const {
    std::ofstream(folder_ / name) << text;
  }
  std::string error() const {
    try {
      find_chat_template(folder_);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind, ErrorKind::kBadModelFile);
      return error.message;
    }
    return "(no error)";
  }
  fs::path folder_;
};

TEST_F(FindChatTemplate, LooksInThreePlacesInOrder) {
  EXPECT_FALSE(find_chat_template(folder_).has_value());
  write("tokenizer_config.json", R"({"bos_token":"<s>"})");
  EXPECT_FALSE(find_chat_template(folder_).has_value());
  write("tokenizer_config.json", R"({"chat_template":"three"})");
  EXPECT_EQ(find_chat_template(folder_)->standard, "three");
  write("chat_template.json", R"({"chat_template":"two"})");
  EXPECT_EQ(find_chat_template(folder_)->standard, "two");
  write("chat_template.jinja", "one");
  EXPECT_EQ(find_chat_template(folder_)->standard, "one");
}

TEST_F(FindChatTemplate, TakesTheDefaultOfSeveral) {
  write("tokenizer_config.json", R"({"chat_template":[{"name":"tool_use","template":"t"},)"
                                 R"({"name":"default","template":"d"}]})");
  EXPECT_EQ(find_chat_template(folder_)->standard, "d");
  EXPECT_EQ(find_chat_template(folder_)->tool_use, "t");
  write("chat_template.jinja", "one");
  EXPECT_EQ(find_chat_template(folder_)->tool_use, std::nullopt);
  fs::create_directory(folder_ / "additional_chat_templates");
  write("additional_chat_templates/tool_use.jinja", "tools");
  EXPECT_EQ(find_chat_template(folder_)->tool_use, "tools");
  fs::remove(folder_ / "chat_template.jinja");
  write("tokenizer_config.json", R"({"chat_template":[{"name":"tool_use","template":"t"}]})");
  EXPECT_NE(error().find("none named 'default'"), std::string::npos);
}

TEST_F(FindChatTemplate, NamesBadFiles) {
  write("tokenizer_config.json", "{");
  EXPECT_NE(error().find("tokenizer_config.json: is not valid JSON"), std::string::npos);
  write("tokenizer_config.json", "[]");
  EXPECT_NE(error().find("must be a JSON object"), std::string::npos);
  write("tokenizer_config.json", R"({"chat_template":5})");
  EXPECT_NE(error().find("must be a string or a list"), std::string::npos);
  write("tokenizer_config.json", R"({"chat_template":[5]})");
  EXPECT_NE(error().find("must list objects"), std::string::npos);
}

}  // namespace
}  // namespace tessera
