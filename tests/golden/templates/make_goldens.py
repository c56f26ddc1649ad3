#!/usr/bin/env python3
"""Writes cases.json (whole conversations through the templates beside this file) and snippets.json
(single points of semantics), rendered by jinja2 in the environment of Hugging Face transformers
(utils/chat_template_utils.py). Needs: pip install jinja2.

Most outputs are there by the first 16 hexadecimal digits of their SHA-256, so that the matrix stays
small.

smollm2.jinja is the template of SmolLM2-135M-Instruct (Apache-2.0); the others are written anew to
render as their families do:
  llama2_style, llama3_original, llama31_style (3.1 and 3.3), llama32_style, llama3_style (a variant)
  mistral_v1 (7B v0.1, Mixtral), mistral_v1_revised (7B v0.2, Mixtral), mistral_style (v3),
  mistral_nemo_style   dbrx_style   chatml (MPT chat), mpt_instruct_style   smollm2
and four of the complicated kind: hermes_style, reasoning_style, types_style, documents_style.
With --published FOLDER (llama.cpp's models/templates) it checks instead that those of Llama 3.1, 3.2
and Mistral Nemo render exactly as the published templates.

  python3 tests/golden/templates/make_goldens.py
"""
import datetime
import hashlib
import json
import pathlib
import sys

import jinja2
import jinja2.ext
import jinja2.nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

HERE = pathlib.Path(__file__).parent
NOW = datetime.datetime(2024, 7, 26, 13, 5, 9, tzinfo=datetime.timezone.utc)


class Generation(jinja2.ext.Extension):
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_render"), [], [], body).set_lineno(line)

    def _render(self, caller):
        return caller()


class Raised(Exception):
    pass


def environment():
    def raise_exception(message):
        raise Raised(message)

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators,
                          sort_keys=sort_keys)

    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True,
                                        extensions=[Generation, jinja2.ext.loopcontrols])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = NOW.strftime
    return env


def run(source, variables):
    try:
        return {"output": environment().from_string(source).render(**variables)}
    except Raised as error:
        return {"raised": str(error)}
    except (jinja2.TemplateSyntaxError, SyntaxError) as error:
        return {"syntax_error": str(error)}
    except Exception as error:  # whatever a template can do wrong
        return {"error": f"{type(error).__name__}: {error}"}


# --- Conversations ---------------------------------------------------------------------------------

WEATHER = {"type": "function", "function": {
    "name": "get_weather", "description": "Weather of a city,\nnow.",
    "parameters": {"type": "object", "properties": {
        "city": {"type": "string", "description": "Größe <b> & 'quotes' \"double\""},
        "days": {"type": "integer", "minimum": 1},
        "tags": {"type": "array", "items": {"type": "string"}},
        "mixed": {"type": ["string", "null"]}, "empty": {}},
        "required": ["city"]}}}
ADD = {"type": "function", "function": {
    "name": "add", "description": "Adds.", "parameters": {"type": "object", "properties": {},
                                                          "required": []},
    "return": {"type": "number"}}}


def message(role, content, **more):
    return {"role": role, "content": content, **more}


def call(name, arguments, id="abcdefghi"):
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


CONVERSATIONS = {
    "one": [message("user", "Hello!")],
    "system": [message("system", " You are terse.\n"), message("user", "Hi\n"),
               message("assistant", " Hello. "), message("user", "Bye <|im_end|></s>")],
    "unicode": [message("user", "\u00a0Zoë 👩‍👩‍👧 日本語\u3000"), message("assistant", "ça va"),
                message("user", "tabs\tand\r\nCRLF")],
    "bad_order": [message("assistant", "me first"), message("user", "no")],
    "bad_role": [message("user", "a"), message("narrator", "b")],
    "tool": [message("user", "Weather in Oslo?"),
             message("assistant", "", tool_calls=[call("get_weather",
                                                       {"city": "Oslo", "days": "2"})]),
             message("tool", "{\"t\": -3.5}", tool_call_id="abcdefghi"),
             message("assistant", "Cold."), message("user", "Thanks")],
    "two_tools": [message("system", "S"), message("user", "Both"),
                  message("assistant", "", tool_calls=[call("a", {}), call("b", {"x": [1, 2.0]})]),
                  message("tool", "1", tool_call_id="abcdefghi"),
                  message("tool", "2", tool_call_id="abcdefghi"), message("assistant", "Done")],
    "think": [message("system", "Sys"), message("user", "2+2?"),
              message("assistant", "<think>\nhm\n</think>\n\n4"), message("user", "3+3?")],
    "empty": [],
    "null_content": [message("user", "hi"),
                     message("assistant", None, tool_calls=[call("get_weather", {"city": "Oslo"})]),
                     message("tool", "3", tool_call_id="abcdefghi", name="get_weather"),
                     message("assistant", "ok")],
    "parts": [message("system", [{"type": "text", "text": "sys"}]),
              message("user", [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]),
              message("assistant", "x"), message("user", [{"type": "text", "text": "c"}])],
    "string_args": [message("user", "hi"),
                    message("assistant", "", tool_calls=[call("get_weather", '{"city": "Oslo"}')]),
                    message("tool", "3", tool_call_id="abcdefghi", name="get_weather")],
    "long": [message("system", "S")] + [message("user" if i % 2 == 0 else "assistant", f"turn {i}")
                                        for i in range(9)],
    "ends_assistant": [message("user", "a"), message("assistant", " b \n")],
    "system_only": [message("system", "x")],
    "no_content": [{"role": "user"}],
    "bad_id": [message("user", "q"), message("assistant", "", tool_calls=[call("a", {}, id="1")]),
               message("tool", {"content": "inner"}, tool_call_id="abcdefghi")],
}
DOCUMENTS = [{"title": "T1", "text": "body ü"}, {"title": "T2", "text": "x\ny <|end|>"}]
SPECIAL = {"bos_token": "<s>", "eos_token": "</s>"}
VARIANTS = [
    {}, {"add_generation_prompt": False}, {"tools": [WEATHER, ADD]},
    {"tools": [WEATHER], "tools_in_user_message": False, "date_string": "1 Jan 2025"},
    {"builtin_tools": ["code_interpreter", "get_weather"]}, {"default_system": "Be kind. ", "use_default_system_prompt": True},
    {"documents": DOCUMENTS}, {"documents": [], "tools": [], "enable_thinking": False},
]


def published(folder):
    for ours, theirs in [("llama31_style", "meta-llama-Llama-3.1-8B-Instruct"),
                         ("llama32_style", "meta-llama-Llama-3.2-3B-Instruct"),
                         ("mistral_nemo_style", "mistralai-Mistral-Nemo-Instruct-2407")]:
        sources = [(HERE / (ours + ".jinja")).read_text(),
                   (pathlib.Path(folder) / (theirs + ".jinja")).read_text()]
        same = failed = 0
        for name, messages in CONVERSATIONS.items():
            for variant in VARIANTS:
                variables = {"messages": messages, "tools": None, "documents": None,
                             "add_generation_prompt": True, **SPECIAL, **variant}
                a, b = (run(source, variables) for source in sources)
                if "output" not in b and "raised" not in b:  # a TypeError or the like: not defined
                    failed += 1
                elif a == b:
                    same += 1
                else:
                    print(ours, name, variant, a, b, sep="\n  ")
        print(ours, same, "as published,", failed, "are errors there")


def cases():
    """By template and conversation, one string for each variant: "=output", "#hash of the output",
    "!message of raise_exception", "?" for any other error."""
    out = {}
    for template in sorted(HERE.glob("*.jinja")):
        source = template.read_text()
        for name, messages in CONVERSATIONS.items():
            results = []
            for variant in VARIANTS:
                result = run(source, {"messages": messages, "tools": None, "documents": None,
                                      "add_generation_prompt": True, **SPECIAL, **variant})
                assert "syntax_error" not in result, (template, result)
                if "output" in result:
                    text = result["output"]
                    plain = not variant and name in ("system", "tool")
                    results.append("=" + text if plain else
                                   "#" + hashlib.sha256(text.encode()).hexdigest()[:16])
                else:
                    results.append("!" + result["raised"] if "raised" in result else "?")
            out.setdefault(template.name, {})[name] = results
    return out


# --- Snippets --------------------------------------------------------------------------------------

CONTEXT = {
    "messages": [message("user", "hello <b>"), message("assistant", "x")],
    "s": "Hello, Wörld", "empty": "", "n": 7, "f": 2.5, "t": True, "z": None, "list": [3, 1, 2],
    "d": {"b": 1, "a": [1, {"k": "v'"}], "items": "key"}, "words": ["beta", "Alpha", "beta"],
    "people": [{"name": "Bo", "age": 3, "x": {"y": 1}}, {"name": "al", "age": 2, "x": {"y": 2}},
               {"name": "Cy"}],
    "multi": "one\ntwo\n\nthree\n", "space": " \u00a0\u3000 x \u2003\n", "quote": "it's \"q\"",
    "emoji": "a👩é", "float_like": 1.0, "nested": {"none": None, "true": True, "list": []},
}
SNIPPETS = r"""
{{ undefined_thing }}|{{ undefined_thing | length }}|{% for x in undefined_thing %}x{% endfor %}|{{ 1 if undefined_thing else 0 }}
{{ undefined_thing.x }}
{{ undefined_thing.x is defined }}
{{ undefined_thing['x'] }}
{{ undefined_thing + 'a' }}
{{ undefined_thing == other_thing }} {{ undefined_thing == none }} {{ undefined_thing != 1 }}
{{ undefined_thing < 1 }}
{{ undefined_thing() }}
{{ 'a' ~ undefined_thing ~ 1 ~ none ~ true }}
{{ s.content is defined }} {{ messages[0].content.content is defined }} {{ messages[0].nope is defined }}
{{ messages[0].nope.nope }}
{{ messages[9] is defined }} {{ messages[-1].role }} {{ messages[-9] is defined }}
{% for x in [1,2] %}{% set y = x %}{% endfor %}{{ y is defined }}
{% if true %}{% set y = 3 %}{% endif %}{{ y }}
{% set y = 1 %}{% for x in [1,2] %}{% set y = y + x %}{{ y }}{% endfor %}{{ y }}
{% set messages = messages[1:] %}{{ messages | length }}
{% set ns = namespace(a=1) %}{% for x in [1,2] %}{% set ns.a = ns.a + x %}{% endfor %}{{ ns.a }} {{ ns.b is defined }}
{% set d.x = 1 %}
{% set ns = namespace({'a': 2}, b=3) %}{{ ns.a }}{{ ns['b'] }}
{{ d['items'] }} {% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}
{{ d.keys() | list }} {{ d.values() | list }} {{ d.get('b') }} {{ d.get('zz') }} {{ d.get('zz', 5) }}
{{ d.keys() | length }} {{ d.keys() }} {{ d.values() }} {{ d.items() }}
{{ d | items | list }} {{ d | list }} {{ 'a' in d }} {{ 'zz' not in d }} {{ 1 in list }} {{ 'ell' in s }}
{{ 1 in 'a1' }}
{{ none | trim }}|{{ none | string }}|{{ none | upper }}
{{ 'a' + 1 }}
{{ 1 + 'a' }}
{{ [1] + [2, 3] }} {{ (1,) + (2,) }} {{ 'ab' * 2 }} {{ [0] * 3 }} {{ 2 * 'x' }}
{{ [1] + (2,) }}
{{ true }} {{ false }} {{ none }} {{ True }} {{ None }} {{ 1.0 }} {{ 1e22 }} {{ 1e16 }} {{ 123456789012345.0 }} {{ 0.0001 }} {{ 0.00001 }} {{ 1.5e-7 }} {{ 100.0 }} {{ 3.14 }} {{ -0.0 }}
{{ [1, 'a', none, true, 1.5, {'k': [(), (1,), (1, 2)]}] }}
{{ quote }} {{ [quote] }} {{ ["it's"] }} {{ ['a"b'] }} {{ ['\n\t\r\\\x07é\u200b😀\x7f'] }}
{{ [quote] | string }} {{ d | string }}
{{ d | tojson }} {{ nested | tojson }} {{ quote | tojson }} {{ '<&>é\n\x01' | tojson }}
{{ d | tojson(indent=2) }}
{{ nested | tojson(indent=4) }} {{ [] | tojson(indent=2) }} {{ {} | tojson }} {{ [[], {}] | tojson(indent=1) }}
{{ {'b': 1, 'a': 'é😀'} | tojson(ensure_ascii=true, sort_keys=true) }} {{ {'a': [1, 2]} | tojson(separators=(',', ':')) }}
{{ {1: 2, none: 3, true: 4, 1.5: 5} | tojson }} {{ (1, 2) | tojson }} {{ 1.0 | tojson }} {{ 1e22 | tojson }} {{ true | tojson }}
{{ undefined_thing | tojson }}
{{ d | tojson(indent='--') }} {{ list | tojson(indent=0) }}
{{ s is string }} {{ s is iterable }} {{ s is sequence }} {{ s is mapping }} {{ d is sequence }} {{ d is iterable }} {{ d is mapping }} {{ list is sequence }} {{ n is iterable }} {{ z is iterable }} {{ undefined_thing is iterable }} {{ undefined_thing is sequence }}
{{ n is number }} {{ t is number }} {{ n is integer }} {{ t is integer }} {{ f is float }} {{ t is boolean }} {{ t is true }} {{ n is true }} {{ t is false }} {{ z is none }} {{ z is defined }} {{ undefined_thing is undefined }} {{ n is odd }} {{ n is even }} {{ n is divisibleby 7 }} {{ n is divisibleby(2) }}
{{ n is eq 7 }} {{ n is equalto(7) }} {{ n is gt 3 }} {{ n is lt 3 }} {{ n is in [7] }} {{ n is not in [7] }} {{ 'a' is lower }} {{ 'A1' is upper }} {{ n is sameas 7 }}
{{ messages[0] == messages[-2] }} {{ {'a': 1, 'b': 2} == {'b': 2, 'a': 1} }} {{ [1, 2] == [1, 2] }} {{ [1] == (1,) }} {{ 1 == 1.0 }} {{ 1 == true }} {{ '1' == 1 }} {{ none == false }}
{{ space.strip() }}|{{ space | trim }}|{{ space.lstrip() }}|{{ space.rstrip() }}|{{ 'xxaxx'.strip('x') }}|{{ 'xya' | trim('yx') }}
{{ 7 / 2 }} {{ 6 / 2 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 % -3 }} {{ 7.5 % 2 }} {{ -7.5 // 2 }} {{ 2 ** 10 }} {{ 2 ** -1 }} {{ 2 ** 0.5 }}
{{ 1 / 0 }}
{{ 1 % 0 }}
{{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ 'a' < 'b' }} {{ [1, 2] < [1, 3] }} {{ 1 <= 1.0 }} {{ not 1 > 2 }} {{ not not true }}
{{ 1 < 'a' }}
{{ -n }} {{ +n }} {{ -n | abs }} {{ 3 - -2 }} {{ -(1 + 2) * 3 }} {{ 1 + 2 * 3 ** 2 }} {{ 10 - 3 - 2 }} {{ 2 ** 3 ** 1 }}
{{ 'a' if n == 7 else 'b' }} {{ 'a' if n == 8 }}| {{ ('a' if n == 8) is defined }} {{ 'x' if false else 'y' if false else 'z' }}
{{ (n == 7) and 'yes' or 'no' }} {{ empty or 'default' }} {{ empty and 1 }} {{ 0 or none }}
{{ list[1:] }} {{ list[:-1] }} {{ list[::-1] }} {{ list[::2] }} {{ list[5:] }} {{ s[1:4] }} {{ s[::-1] }} {{ s[-3:] }} {{ s[:-10] }} {{ emoji[1] }} {{ emoji[-1] }} {{ emoji[1:] }} {{ s[99] }}| {{ list[-2:-1] }} {{ (1,2,3)[1:] }} {{ s[10:2:-3] }}
{{ none[1:] }}
{{ list[0] }} {{ list.0 }} {{ d.a.1.k }} {{ d['a'][0] }} {{ d.a[1]['k'] }} {{ people[0].x.y }}
{{ list | first }} {{ list | last }} {{ [] | first }}| {{ s | first }} {{ s | last }} {{ list | length }} {{ s | length }} {{ emoji | length }} {{ d | count }} {{ list | sum }} {{ list | max }} {{ list | min }} {{ [] | max }}|
{{ n | length }}
{{ list | sort }} {{ list | sort(reverse=true) }} {{ words | sort }} {{ words | sort(case_sensitive=true) }} {{ people | map(attribute='name') | sort | join(',') }} {{ people[:2] | sort(attribute='age') | map(attribute='name') | list }}
{{ words | unique | list }} {{ ['a', 'A', 'b'] | unique | list }} {{ ['a', 'A'] | unique(true) | list }} {{ list | reverse | list }} {{ s | reverse }}
{{ d | dictsort }} {{ {'b': 1, 'A': 2} | dictsort }} {{ {'b': 1, 'A': 2} | dictsort(by='value', reverse=true) }}
{{ people | selectattr('age') | map(attribute='name') | list }} {{ people | rejectattr('age', 'defined') | map(attribute='name') | list }} {{ people | selectattr('age', 'gt', 2) | list | length }} {{ people | selectattr('x.y', 'equalto', 2) | map(attribute='name') | first }}
{{ list | select('odd') | list }} {{ list | reject('equalto', 1) | join('-') }} {{ words | map('upper') | join(' ') }} {{ people | map(attribute='age', default=0) | list }} {{ [0, 1, ''] | select | list }}
{% if list | select('gt', 100) %}generators are true{% endif %}
{{ list | select('gt', 100) | length }}
{{ (list | map('string'))[0] is defined }}
{% set g = list | map('string') %}{{ g | join }}{{ g | join }}
{{ list | join }} {{ list | join(', ') }} {{ people | join('+', attribute='name') }} {{ s | join('.') }} {{ [none, true, 1.5] | join('/') }}
{{ s | lower }} {{ s | upper }} {{ 'hELLO wORLD' | capitalize }} {{ 'hello wORLD-foo (bar)' | title }} {{ "they're" .title() }} {{ 'straße ΑΣ' | upper }} {{ 'ΑΣ İ' | lower }} {{ 'ß' .capitalize() }}
{{ s | replace('l', 'L') }} {{ s | replace('l', 'L', 1) }} {{ 'aaa'.replace('a', 'b', 2) }} {{ 'ab'.replace('', '-') }} {{ 123 | replace('2', 'x') }}
{{ undefined_thing | default('d') }} {{ empty | default('d') }}| {{ empty | default('d', true) }} {{ none | default('d') }} {{ undefined_thing | d(1) }} {{ undefined_thing | default }}|
{{ multi | indent }}|{{ multi | indent(2, true) }}|{{ multi | indent(2, blank=true) }}|{{ multi | indent('>> ', first=true) }}
{{ '42' | int }} {{ '4.7' | int }} {{ 'x' | int }} {{ 'x' | int(9) }} {{ 'ff' | int(base=16) }} {{ 3.9 | int }} {{ none | int }} {{ true | int }} {{ ' 12 ' | int }} {{ '1_000' | int }} {{ '4.5' | float }} {{ 'x' | float }} {{ 3 | float }} {{ '1e3' | float }}
{{ 2.5 | round }} {{ 3.5 | round }} {{ 2.567 | round(2) }} {{ 2.1 | round(method='ceil') }} {{ 2.9 | round(0, 'floor') }} {{ 7 | round }} {{ -3 | abs }} {{ -2.5 | abs }}
{{ 'a,b,,c'.split(',') }} {{ ' a  b '.split() }} {{ 'a b c'.split(' ', 1) }} {{ 'a-b-c'.rsplit('-', 1) }} {{ 'a b  c '.split(none, 1) }} {{ ''.split() }} {{ ''.split(',') }}
{{ 'abc'.startswith('ab') }} {{ 'abc'.startswith(('x', 'a')) }} {{ 'abc'.endswith('bc') }} {{ 'abcabc'.find('c') }} {{ 'abcabc'.rfind('c') }} {{ 'éa'.find('a') }} {{ 'abc'.find('z') }} {{ 'aXbXc'.partition('X') }} {{ 'aXbXc'.rpartition('X') }} {{ 'abab'.count('ab') }}
{{ 'a\nb\r\nc'.splitlines() }} {{ 'xab'.removeprefix('x') }} {{ 'abx'.removesuffix('x') }} {{ ','.join(['a', 'b']) }} {{ '12'.isdigit() }} {{ 'ab1'.isalpha() }} {{ 'ab1'.isalnum() }} {{ ' '.isspace() }} {{ 'AB'.isupper() }} {{ 'ab'.islower() }}
{{ ','.join([1]) }}
{{ '%s-%d-%s' % ('a', 3, none) }} {{ '%05d|%-4s|%.2f|%%' % (42, 'ab', 3.14159) }} {{ 'n=%s' % n }} {{ '%r' % ('q',) }}
{{ '%s %s' % ('a',) }}
{{ 'x={} y={}'.format(1, 'b') }} {{ '{0}{1}{0} {name}'.format('a', 'b', name='c') }} {{ '{{}}'.format() }}
{{ list.append(4) }}
{{ d.update({}) }}
{{ d.pop('b') }}
{{ list.index(1) }} {{ list.count(3) }} {{ list.nope is defined }} {{ s.nope is defined }} {{ n.nope is defined }}
{{ n() }}
{{ s.nope() }}
{{ range(3) | list }} {{ range(1, 4) | list }} {{ range(5, 0, -2) | list }} {{ range(3)[1] }} {{ range(0) | length }} {% for i in range(2) %}{{ i }}{% endfor %}
{{ range(1000000) }}
{{ dict(a=1, b='x') }} {{ dict({'q': 1}, r=2) }} {{ dict([('a', 1)]) }}
{% for x in list %}{{ loop.index }}{{ loop.index0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.previtem is defined }}{{ loop.nextitem }};{% endfor %}
{% for x in list if x > 1 %}{{ loop.index }}/{{ loop.length }}:{{ x }}{{ '' if loop.last else ',' }}{% endfor %}
{% for x in [] %}a{% else %}none{% endfor %} {% for x in list if x > 5 %}a{% else %}none{% endfor %}
{% for a, b in [(1, 2), [3, 4]] %}{{ a }}{{ b }}{% endfor %} {% for k, v in d | dictsort %}{{ k }}{% endfor %} {% for (a, (b, c)) in [(1, (2, 3))] %}{{ a + b + c }}{% endfor %}
{% for a, b in [(1, 2, 3)] %}{% endfor %}
{% for x in 5 %}{% endfor %}
{% for x in none %}{% endfor %}
{% for c in emoji %}[{{ c }}]{% endfor %} {% for k in d %}{{ k }}{% endfor %} {% for x in 1, 2 %}{{ x }}{% endfor %}
{% for x in range(10) %}{% if x == 2 %}{% continue %}{% endif %}{% if x == 5 %}{% break %}{% endif %}{{ x }}{% endfor %}
{% for x in [1,2] %}{% for y in [1,2] %}{{ loop.index }}{{ loop.depth }}{% if y == x %}{% break %}{% endif %}{% endfor %}{{ loop.index }}{% endfor %} {% for x in list %}{{ loop.cycle('a', 'b') }}{% endfor %}
{% macro m(a, b=2, c='x') %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ m(1) }} {{ m(1, c=3) }} {{ m(b=5, a=4) }} {{ m() }} {{ m(1) | upper }} {{ m(1) ~ m(2) }}
{% macro m(a) %}{% if a > 0 %}{{ a }}{{ m(a - 1) }}{% endif %}{% endmacro %}{{ m(5) }}
{% macro m() %}{{ later }}{% endmacro %}{% set later = 'L' %}{{ m() }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(zz=2) }}
{% set x %}a{{ n }}b{% endset %}{{ x | length }}{{ x }} {% set y | upper %}abc{% endset %}{{ y }}
{% filter upper %}abc{{ s }}{% endfilter %} {% filter replace('a', 'b') | trim %} aa {% endfilter %}|
{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}{{ a is defined }}
{% set a, b = 1, 2 %}{{ a }}{{ b }} {% set c = 1, 2 %}{{ c }} {{ 1, 2 }} {{ () }} {{ (1) }} {{ (1,) }}
{% set a, b = [1] %}
{% generation %}{% set q = 1 %}in{% endgeneration %}{{ q is defined }}
{% raw %}{{ not }} {% this %}{% endraw %} {# a comment {{ x }} #}after {{ '{{' }} {{ '%}' }} {{ "}}" }}
{{ {'a': {'b': 1}}['a']['b'] }} {{ {'a': 1}.a }} {{ [[1, 2], [3]][0][1] }} {{ {}['x'] is defined }}
{{ {'a': 1, 'a': 2} }} {{ {1: 'a'}[1] }} {{ {true: 'a'}[1] }} {{ {(1, 2): 3}[(1, 2)] }}
{{ {[1]: 2} }}
{{ 'a' 'b' "c" }} {{ 'tab\tnl\\n \x41 \u00e9 \U0001F600 \q \'' }} {{ "a\"b" }} {{ 'oct\101' }}
{{ 1_000 }} {{ 1.5e3 }} {{ 0 }} {{ 007 if false }}
{{ raise_exception('boom ' ~ n) }}
{{ strftime_now('%d %b %Y %H:%M') }} {{ strftime_now('%Y-%m-%d') }}
{{ '<b>&"' | escape }} {{ '<b>' | safe }} {{ s | string | length }} {{ people[0] | attr('name') is defined }}
{{ '<b>' | safe + '<i>' }} {{ '<i>' + '<b>' | safe }} {{ ('<' | safe | trim) + '<' }} {{ '<' | safe ~ '<' }} {{ ['<' | safe, '<'] | join }} {{ '<' | e + '<' | e | e }}
{{ none | selectattr('a') | list }} {{ none | map('upper') | list }} {{ 0 | reject('odd') | list }}
{{ none | list }}
{{ list is sameas list }} {{ z is sameas none }} {{ 1 is sameas true }}
{{ n.__class__ }}|{{ s.__class__.__mro__ }}
{{ not (1 in list) }} {{ not 1 in list }} {{ 1 not in list }} {{ (1 in list) == true }}
{{ messages[0]['content'][0] }} {{ messages | map(attribute='content') | join('\n') }} {{ messages | selectattr('role', 'in', ['user']) | list | length }}
{{ s[:5] ~ '...' if s | length > 5 else s }} {{ (s | length) * 2 }} {{ s | length + 1 }}
{{ '' is defined }} {{ s == 'Hello, Wörld' }} {{ s | lower == s }} {{ s in [s] }}
{{ n if n is defined and n is not none else 'x' }} {{ x.y if x is defined else 'no x' }}
{{ people | map(attribute='x.y') | list }} {{ people | map(attribute='zz') | list }}
{{ (1, 'b', none) | list }} {{ 'abc' | list }} {{ {'k': 1}.items() | list }} {{ d.items() is iterable }} {{ d.items() is sequence }}
{{ true + true }} {{ true * 3 }} {{ -true }} {{ 1.0 * 3 }} {{ 10 // 3.0 }} {{ 0.1 + 0.2 }} {{ 1e308 * 10 }} {{ 5 % 3.0 }}
{{ loop is defined }} {{ range is defined }} {{ namespace is defined }} {{ strftime_now is defined }} {{ range is callable }}
{{ 'a' > 1 }}
{{ {} > {} }}
{{ [1, 'a'] | sort }}
{{ s | tojson(indent=2) }} {{ n | tojson(indent=2) }}
{{ "a" if true }}{{ "b" if not true }}{{ 1 if 0 else 2 if 0 else 3 }}
{{ [1, 2, 3,] }} {{ {'a': 1,} }} {{ m is defined and m }}
{{ ''.join(words) }} {{ words | join | length }} {{ words | length is odd }} {{ words[0] is in words }}
{{ 'x' * -1 }}|{{ [1] * 0 }} {{ 'é' * 3 }}
{{ (n | string) + '!' }} {{ n ~ '!' }} {{ f | string }} {{ [f, n] | map('string') | join(' ') }}
{{ list | map('tojson') | join(',') }} {{ people | map(attribute='name') | map('lower') | list | tojson }}
{{ 'a b'.title() }} {{ 'ab'.zfill is defined }} {{ 'İ'.lower() | length }} {{ 'ǆ'.upper() }} {{ 'ﬁ'.upper() }}
"""
BLOCKS = [  # white space control; one snippet each
    "a\n  {% if true %}\n  b\n  {% endif %}\n  c\n", "a\n  {%- if true -%}\n  b\n  {%- endif -%}\n  c",
    "  {% if true %}x{% endif %}  \n y", "  {%+ if true %}x{% endif +%}\n y", "a {#- c -#} b", "a\n  {# c #}\nb",
    "a\n\t {{ 1 }}\n b", "a\n  {{- 1 -}}\n b", "{% if true %}\r\nx\r\n{% endif %}\r\ny\r\n", "x\n\n", "x", "\n",
    "{{ 1 }}\n", "{{ 1 }}\n\n", "a{{ 1 }}  {% if true %}\nb{% endif %}", "{% raw %}\n a {{ x }} \n{% endraw %}\nb",
    "{%- raw -%} \n a {{ x }} \n{%- endraw -%} \nb", "\n  {% set x = 1 %}\n\n  {{ x }}\n", "a{{'\n'}}b", "{{ 'a\n\nb' }}",
    "  {% set x = 1 -%}\n  {% set y = 2 -%}\nz", "{% for x in [1,2] %}\n  {{ x }}\n{% endfor %}\nend",
    "{% for x in [1,2] -%}\n  {{ x }}\n{%- endfor %}\nend", "\u00a0 {%- if true %} x{% endif %}",
    "a\u00a0\n \u00a0{% if true %}x{% endif %}", "{#c#}{# d #}\n\n x", "a{%if true%}b{%endif%}c", "{{1}}{{-1}}{{ -1 }}",
    "{% if true %}{# x #}\n  {% endif %}\ny", "a  {# x +#}\nb", "{% set x = {'a': {'b': 1}} %}{{ x.a.b }}",
    "{{ {'a': 1}}}", "{%- set a = '%}' -%} {{ a }}", "{{ '}}' }}{{ \"{%\" }}", "{% if 1 %}a{% elif 2 %}b{% else %}c{% endif %}",
    "{% if 0 %}a{% elif 2 %}b{% else %}c{% endif %}", "{% if 0 %}a{% elif 0 %}b{% else %}c{% endif %}",
    "{% for x in 'ab' %}{% if loop.first %}\n  first\n{% endif %}{{ x }}{% endfor %}",
    # errors of syntax
    "{% if %}x{% endif %}", "{{ 1 + }}", "{{ (1 }}", "{% for x %}{% endfor %}", "{% endif %}", "{% if true %}", "{{ 'abc }}",
    "{% unknown %}", "{{ a b }}", "{# never closed", "{{ x", "{% set 1 = 2 %}", "{{ [1, 2 }}", "{{ 1 | }}", "{% set x.y.z = 1 %}",
    "{{ x is }}", "{% raw %} a", "{{ $ }}", "{% break %}", "{% for x in y %}{% else %}{% break %}{% endfor %}",
    "{% macro m(a=1, b) %}{% endmacro %}", "{{ f(a=1, 2) }}", "{% if a %}{% else %}{% elif b %}{% endif %}", "{{ true = 1 }}",
]


def main():
    if sys.argv[1:2] == ["--published"]:
        return published(sys.argv[2])
    out = cases()
    head = json.dumps({"special_tokens": SPECIAL, "now": int(NOW.timestamp()), "variants": VARIANTS,
                       "conversations": CONVERSATIONS}, ensure_ascii=False, separators=(",", ":"))
    rows = [json.dumps(template) + ":{\n" + ",\n".join(
        json.dumps(name) + ":" + json.dumps(results, ensure_ascii=False, separators=(",", ":"))
        for name, results in by_conversation.items()) + "}" for template, by_conversation in out.items()]
    (HERE / "cases.json").write_text(head[:-1] + ',\n"cases":{\n' + ",\n".join(rows) + "\n}}\n")
    sources = [line for line in SNIPPETS.strip("\n").split("\n")] + BLOCKS
    snippets = [{"source": source, **run(source, CONTEXT)} for source in sources]
    (HERE / "snippets.json").write_text(json.dumps(
        {"now": int(NOW.timestamp()), "context": CONTEXT, "snippets": snippets},
        ensure_ascii=False, indent=0) + "\n")
    results = [r[0] for by in out.values() for rs in by.values() for r in rs]
    print({kind: results.count(kind) for kind in "=#!?"}, len(snippets), "snippets")


main()
