#include "text/jinja_eval.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <boost/json.hpp>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/error.h"
#include "text/jinja_parser.h"

namespace tessera::jinja {
namespace {

namespace json = boost::json;

json::object read_golden(const std::string& name) {
  std::ifstream file(TESSERA_SOURCE_DIR "/tests/golden/templates/" + name);
  std::stringstream text;
  text << file.rdbuf();
  return json::parse(text.str()).as_object();
}

RenderInput variables(const json::object& context) {
  RenderInput input;
  for (const auto& [name, value] : context) {
    input.variables.emplace_back(std::string(name), from_json(value));
  }
  return input;
}

Text render_text(std::string_view source, const json::object& context = {}) {
  return render(parse_template(source), variables(context));
}

std::string rendered(std::string_view source, const json::object& context = {}) {
  return render_text(source, context).chars;
}

// The error's message; fails the test when there is none or it is of another kind.
std::string error_of(std::string_view source, ErrorKind kind, const json::object& context = {}) {
  try {
    return "(no error, but '" + rendered(source, context) + "')";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind, kind) << error.message;
    return error.message;
  }
}

// tests/golden/templates/make_goldens.py: what jinja2 makes of it.
TEST(Jinja, EverySnippetEqualsThePythonImplementation) {
  setenv("TZ", "UTC", 1);
  tzset();
  const json::object golden = read_golden("snippets.json");
  const json::array& snippets = golden.at("snippets").as_array();
  EXPECT_GT(snippets.size(), 200u);
  for (const json::value& item : snippets) {
    const std::string source(item.at("source").as_string());
    SCOPED_TRACE(source);
    const json::object& wanted = item.as_object();
    try {
      RenderInput input = variables(golden.at("context").as_object());
      input.now_s = golden.at("now").as_int64();
      const std::string got = render(parse_template(source), input).chars;
      ASSERT_TRUE(wanted.contains("output"))
          << "rendered '" << got << "', wanted an error: " << item;
      EXPECT_EQ(got, std::string(wanted.at("output").as_string()));
    } catch (const Error& error) {
      if (wanted.contains("output")) {
        ADD_FAILURE() << error.message << "\nwanted '" << wanted.at("output").as_string() << "'";
      } else if (wanted.contains("raised")) {
        EXPECT_EQ(error.kind, ErrorKind::kBadMessage);
        EXPECT_EQ(error.message, std::string(wanted.at("raised").as_string()));
      } else {
        EXPECT_EQ(error.kind,
                  wanted.contains("error") ? ErrorKind::kBadValue : ErrorKind::kBadModelFile)
            << error.message << "\nwanted " << item;
      }
    }
  }
}

TEST(Jinja, ErrorsShowLineAndColumn) {
  EXPECT_EQ(error_of("a\n  {{ b + }}", ErrorKind::kBadModelFile),
            "chat template, line 2, column 10: unexpected '}}', wanted an expression");
  EXPECT_EQ(error_of("{% for x in y %}\n{% endif %}", ErrorKind::kBadModelFile),
            "chat template, line 2, column 4: unknown or unsupported tag 'endif'");
  EXPECT_EQ(error_of("{% if x %}\n\nabc", ErrorKind::kBadModelFile),
            "chat template, line 3, column 4: the template ends, but 'endif' is missing");
  EXPECT_EQ(error_of("x\n{{ 1 }}{{ nope.x }}", ErrorKind::kBadValue),
            "chat template, line 2, column 15: 'nope' is undefined");
  EXPECT_EQ(error_of("\n\n{% set x = 'a' +\n 1 %}", ErrorKind::kBadValue),
            "chat template, line 3, column 16: can only concatenate str (not \"int\") to str");
  EXPECT_EQ(error_of("{{ x | nope }}", ErrorKind::kBadValue),
            "chat template, line 1, column 6: unknown or unsupported filter 'nope'");
  EXPECT_EQ(error_of("{{ 'abc", ErrorKind::kBadModelFile),
            "chat template, line 1, column 4: the string is not closed");
}

// --- Origins -------------------------------------------------------------------------------------

// The text with foreign stretches in brackets.
std::string origins(std::string_view source, const json::object& context) {
  const Text text = render_text(source, context);
  std::string out;
  std::size_t at = 0;
  for (const Text::Range& range : text.foreign) {
    EXPECT_LE(at, range.begin);
    EXPECT_LT(range.begin, range.end);
    EXPECT_LE(range.end, text.chars.size());
    out += text.chars.substr(at, range.begin - at) + "[" +
           text.chars.substr(range.begin, range.end - range.begin) + "]";
    at = range.end;
  }
  return out + text.chars.substr(at);
}

TEST(Jinja, KnowsWhatCameFromOutside) {
  const json::object context{{"u", " héy "}, {"n", 5}, {"d", {{"k", "v"}}}, {"l", {"a", "b"}}};
  const auto check = [&](std::string_view source, std::string_view wanted) {
    EXPECT_EQ(origins(source, context), wanted) << source;
  };
  check("<s>{{ u }}</s>", "<s>[ héy ]</s>");
  check("{{ '<s>' + u | trim + '</s>' }}", "<s>[héy]</s>");
  check("{{ '<s>' ~ u.strip() ~ n ~ '</s>' }}", "<s>[héy]5</s>");
  check("{% set x %}<a>{{ u }}<b>{% endset %}{{ x[1:5] }}", "a>[ h]");
  check("{% set x = 'ab' + u + 'cd' %}{{ x[::-1] }}", "dc[ yéh ]ba");
  check("{{ ('a' + u + 'b') | upper }}", "A[ HÉY ]B");
  check("{{ ('a ' + u + 'b').split() | join('|') }}", "a|[héy]|b");
  check("{{ ('x' + u.strip() + 'x') | replace('x', '<>') }}", "<>[héy]<>");
  check("{{ ('x.x') | replace('.', u.strip()) }}", "x[héy]x");
  check("{% for c in 'a' + u.strip() %}{{ c }}.{% endfor %}", "a.[h].[é].[y].");
  check("{{ {'a': u.strip()} | tojson }}", "[{\"a\": \"héy\"}]");
  check("{{ {'a': 1} | tojson }}", "{\"a\": 1}");
  check("{{ d }}{{ [1] }}", "[{'k': 'v'}][1]");  // the second is a list of the template
  check("{% for k, v in d.items() %}{{ k }}={{ v }}{% endfor %}", "[k]=[v]");
  check("{{ l | join('<sep>') }}", "[a]<sep>[b]");
  check("{{ '%s!' % u.strip() }}", "[héy]!");
  check("{{ '<a>{}<b>'.format(u.strip()) }}", "<a>[héy]<b>");
  check("{{ ('<a>' + u) | indent }}", "<a>[ héy ]");
  check("{% macro m(x) %}<m>{{ x }}</m>{% endmacro %}{{ m(u.strip()) }}", "<m>[héy]</m>");
  check("{{ u | escape }}", "[ héy ]");
  check("{{ 'héy' if u.strip() == 'héy' else u }}", "héy");
  check("{{ u.strip()[0] * 3 }}{{ 'h' * 3 }}", "[hhh]hhh");
  check("{% filter trim %} {{ u }} {% endfilter %}", "[héy]");
}

// --- Limits --------------------------------------------------------------------------------------

TEST(Jinja, LimitsBoundHostileTemplates) {
  const auto runtime = [](std::string_view source) {
    const std::clock_t begin = std::clock();
    const std::string message = error_of(source, ErrorKind::kBadValue);
    const double seconds = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
    EXPECT_LT(seconds, 30) << source;  // of this process, with sanitizers
    return message;
  };
  const auto has = [](const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos
               ? ::testing::AssertionSuccess()
               : ::testing::AssertionFailure() << '"' << text << "\" lacks \"" << part << '"';
  };
  const std::string kDouble =
      "{% set ns = namespace(x=X) %}{% for i in range(100) %}"
      "{% set ns.x = Y %}{% endfor %}{{ Z }}";
  const auto doubling = [&](std::string x, std::string y, std::string z) {
    std::string source = kDouble;
    source.replace(source.find('X'), 1, x);
    source.replace(source.find('Y'), 1, y);
    source.replace(source.find('Z'), 1, z);
    return source;
  };
  EXPECT_TRUE(has(runtime(doubling("'ab'", "ns.x ~ ns.x", "1")), "64 MiB"));
  EXPECT_TRUE(has(runtime(doubling("'ab'", "ns.x + ns.x", "1")), "64 MiB"));
  EXPECT_TRUE(has(runtime(doubling("[1]", "ns.x + ns.x", "1")), "parts"));
  EXPECT_TRUE(has(runtime(doubling("[1]", "[ns.x, ns.x]", "ns.x")), "parts"));
  EXPECT_TRUE(has(runtime(doubling("{}", "{'a': ns.x, 'b': ns.x}", "ns.x | tojson")), "parts"));
  EXPECT_TRUE(has(runtime("{% set ns = namespace(x=[]) %}{% for i in range(1000) %}"
                          "{% set ns.x = [ns.x] %}{% endfor %}"),
                  "nested deeper"));
  EXPECT_TRUE(has(runtime("{% for i in range(2000) %}{% for j in range(2000) %}{% endfor %}"
                          "{% endfor %}"),
                  "loop iterations"));
  EXPECT_TRUE(has(runtime("{% for i in range(1000) %}{{ 'x' * 100000 }}{% endfor %}"), "64 MiB"));
  EXPECT_TRUE(has(runtime("{{ 'x' * 100000000 }}"), "64 MiB"));
  EXPECT_TRUE(has(runtime("{{ [0] * 100000000 }}"), "elements"));
  EXPECT_TRUE(has(runtime("{{ range(99999999999) }}"), "range too big"));
  EXPECT_TRUE(has(runtime("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"), "nested deeper"));
  EXPECT_TRUE(has(runtime("{% set s = 'x' * 60000000 %}{% for i in range(1000) %}"
                          "{% set t = s | upper %}{% endfor %}"),
                  "rendering takes too"));
  EXPECT_TRUE(has(runtime("{% set l = range(100000) | list %}{% for i in range(100000) %}"
                          "{% set t = -1 in l %}{% endfor %}"),
                  "rendering takes too long"));
  EXPECT_TRUE(has(runtime("{{ 9223372036854775807 + 1 }}"), "64-bit"));
  EXPECT_TRUE(has(runtime("{{ -9223372036854775807 - 2 }}"), "64-bit"));
  EXPECT_TRUE(has(runtime("{{ 3 ** 100 }}"), "64-bit"));
  EXPECT_TRUE(has(runtime("{{ (-9223372036854775807 - 1) // -1 }}"), "64-bit"));
  EXPECT_TRUE(has(runtime("{{ '%2000d' % 1 }}"), "1000"));
  EXPECT_TRUE(has(runtime("{{ strftime_now('%Y' * 1000) }}"), "too long"));
  std::string maps = "{{ ['a'] | map('map'";
  for (int i = 0; i < 1000; ++i) maps += ", 'map'";
  EXPECT_TRUE(has(runtime(maps + ", 'upper') | list }}"), "nested deeper"));
  // A recursive macro called below a deep expression: 64 calls of 300 levels each.
  std::string deep = "{% macro m() %}{{ m()";
  for (int i = 0; i < 300; ++i) deep += " + 'a'";
  EXPECT_TRUE(has(runtime(deep + " }}{% endmacro %}{{ m() }}"), "nested too deeply"));
}

// Text made of very many stretches of alternating origin, and searches for repetitive strings.
TEST(Jinja, NoOperationOnTextIsQuadratic) {
  const json::object context{{"u", std::string(300000, 'u')}};
  const std::clock_t begin = std::clock();
  EXPECT_EQ(rendered("{% set t = u | list | join('-') %}{{ t.split('-') | length }}"
                     "{{ t | replace('-', '+') | length }}{{ t[::-1] | length }}",
                     context),
            "300000599999599999");
  EXPECT_EQ(rendered("{% set s = 'a' * 1000000 %}{% set p = 'a' * 500000 ~ 'b' %}"
                     "{{ p in s }}{{ s.find(p) }}{{ s.count(p) }}{{ s.rfind('b' ~ 'a' * 500000) }}"
                     "{{ s.split(p) | length }}{{ s.strip('b' * 1000000 ~ 'a') | length }}"),
            "False-10-110");
  EXPECT_LT(static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC, 30);
  EXPECT_NE(error_of("{{ ('a,' * 1000000).split(',') }}", ErrorKind::kBadValue).find("parts"),
            std::string::npos);
}

// The published ways out of a template and into the machine, and those to exhaust it.
TEST(Jinja, ExploitsAreRefusedOrHarmless) {
  int seen = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(TESSERA_SOURCE_DIR "/tests/fuzz/corpus/jinja")) {
    if (!entry.path().filename().string().starts_with("exploit_")) continue;
    std::ifstream file(entry.path());
    std::stringstream source;
    source << file.rdbuf();
    ++seen;
    try {
      const std::string text =
          rendered(source.str(), {{"messages", {{{"role", "user"}, {"content", "x"}}}}});
      EXPECT_LT(text.size(), 2000u) << entry.path();
      EXPECT_EQ(text.find("0x"), std::string::npos) << entry.path();  // no addresses
      EXPECT_EQ(text.find("<class"), std::string::npos) << entry.path();
    } catch (const Error& error) {
      EXPECT_TRUE(error.kind == ErrorKind::kBadValue || error.kind == ErrorKind::kBadModelFile)
          << error.message;
      EXPECT_LT(error.message.size(), 1000u);
    }
  }
  EXPECT_GE(seen, 40);
}

TEST(Jinja, LimitsBoundDeepSources) {
  const auto repeated = [](std::string_view text, int count) {
    std::string out;
    for (int i = 0; i < count; ++i) out += text;
    return out;
  };
  const auto syntax = [](const std::string& source) {
    return error_of(source, ErrorKind::kBadModelFile);
  };
  EXPECT_NE(
      syntax("{{ " + repeated("(", 100000) + repeated(")", 100000) + " }}").find("nested deeper"),
      std::string::npos);
  EXPECT_NE(
      syntax("{{ " + repeated("[", 100000) + repeated("]", 100000) + " }}").find("nested deeper"),
      std::string::npos);
  EXPECT_NE(
      syntax("{{ " + repeated("{1:", 100000) + repeated("}", 100000) + " }}").find("nested deeper"),
      std::string::npos);
  EXPECT_NE(syntax("{{ " + repeated("not ", 100000) + "1 }}").find("nested deeper"),
            std::string::npos);
  EXPECT_NE(syntax("{{ " + repeated("- ", 100000) + "1 }}").find("nested deeper"),
            std::string::npos);
  EXPECT_NE(syntax("{{ " + repeated("1 + ", 100000) + "1 }}").find("deeper"), std::string::npos);
  EXPECT_NE(syntax("{{ x" + repeated(".a", 100000) + " }}").find("deeper"), std::string::npos);
  EXPECT_NE(syntax("{{ x" + repeated("|a", 100000) + " }}").find("deeper"), std::string::npos);
  EXPECT_NE(syntax("{{ x" + repeated(" if 1 else 2", 100000) + " }}").find("deeper"),
            std::string::npos);
  EXPECT_NE(syntax(repeated("{% if 1 %}", 100000)).find("nested deeper"), std::string::npos);
  EXPECT_NE(syntax(repeated("{% for x in y %}", 100000)).find("nested deeper"), std::string::npos);
  EXPECT_NE(syntax("{{ 99999999999999999999 }}").find("too large"), std::string::npos);
}

TEST(Jinja, RefusesWhatTheSandboxRefuses) {
  EXPECT_NE(error_of("{{ l.append(1) }}", ErrorKind::kBadValue, {{"l", json::array{}}})
                .find("access to attribute 'append' of 'list' object is unsafe"),
            std::string::npos);
  for (const char* tag : {"include 'x'", "import 'x' as y", "extends 'x'", "block x", "call m()"}) {
    EXPECT_NE(error_of("{% " + std::string(tag) + " %}", ErrorKind::kBadModelFile)
                  .find("unknown or unsupported tag"),
              std::string::npos);
  }
}

TEST(Jinja, SurvivesNamespacesThatContainThemselves) {
  EXPECT_EQ(rendered("{% set ns = namespace() %}{% set ns.me = ns %}{% set ns.l = [ns] %}"
                     "{{ ns.me.me.l | length }}{{ ns == ns.me }}"),
            "1True");
}

TEST(Jinja, MacrosOutliveTheBlockTheyWereDefinedIn) {
  EXPECT_EQ(rendered("{% set ns = namespace() %}{% for x in [1, 2] %}{% macro m() %}<{{ x }}>"
                     "{% endmacro %}{% set ns.m = m %}{% endfor %}{{ ns.m() }}"),
            "<2>");
  EXPECT_EQ(rendered("{% set ns = namespace() %}{% for x in [1, 2] %}{% set ns.l = loop %}"
                     "{% endfor %}{{ ns.l.index }}"),
            "2");
}

}  // namespace
}  // namespace tessera::jinja
