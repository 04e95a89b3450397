// Judges a template's tree. See README.md for what honest templates do that looks alike.
#include "scanner/code/jinja/fold.hpp"
#include "scanner/code/jinja/jinja.hpp"
#include "scanner/code/jinja/listing.hpp"
#include "scanner/core/digest.hpp"
#include "scanner/generic/text_value.hpp"

#include <algorithm>
#include <array>
#include <optional>

namespace hubgate::jinja {
namespace {

constexpr std::size_t k_told = 20;            ///< findings of one template
constexpr std::int64_t k_max_range = 100'000; ///< jinja2.sandbox.MAX_RANGE
constexpr std::int64_t k_max_repeat = 1'000'000;
constexpr std::size_t k_wide = 7; ///< digits of a field's width

constexpr std::string_view k_atlas = "AML.T0011.000";
constexpr std::string_view k_injection = "AML.T0051.001";

constexpr std::array<Rule, 8> k_rules{{
    {"jinja-escape", "dangerous-call", Severity::malicious, Reach::load, "CWE-1336", k_atlas,
     "GGF-001 GGF-004",
     "the template climbs from a value into Python itself, where it can run anything"},
    {"jinja-gadget", "unknown-call", Severity::suspicious, Reach::load, "CWE-1336", k_atlas,
     "GGF-001 GGF-004",
     "the template uses an object of Jinja or of a web framework that attacks begin with and chats "
     "don't need"},
    {"jinja-dynamic-attribute", "unknown-call", Severity::suspicious, Reach::load, "CWE-1336",
     k_atlas, "GGF-001",
     "the template computes the name of an attribute, which hides what it reaches for"},
    {"jinja-import", "reference", Severity::suspicious, Reach::load, "CWE-829", k_atlas, "GGF-001",
     "the template reads another template"},
    {"jinja-conditional-instruction", "deception", Severity::suspicious, Reach::load, "CWE-912",
     k_injection, "GGF-002 GGF-004",
     "the template adds text to the conversation when certain words or dates turn up, unseen by "
     "the "
     "person who chats"},
    {"jinja-hidden-instruction", "deception", Severity::suspicious, Reach::load, "CWE-912",
     k_injection, "GGF-002 GGF-004",
     "the template tells the model to do something and to keep it from the person who chats"},
    {"jinja-hidden-characters", "deception", Severity::suspicious, Reach::load, "CWE-1007",
     k_injection, "GGF-002",
     "the template writes characters that nobody sees into the conversation"},
    {"jinja-exhaustion", "bomb", Severity::suspicious, Reach::load, "CWE-400", "AML.T0029",
     "GGF-001", "rendering the template takes all time or memory"},
}};

const Rule& k_escape = k_rules[0];
const Rule& k_gadget = k_rules[1];
const Rule& k_dynamic = k_rules[2];
const Rule& k_import = k_rules[3];
const Rule& k_conditional = k_rules[4];
const Rule& k_instruction = k_rules[5];
const Rule& k_characters = k_rules[6];
const Rule& k_exhaustion = k_rules[7];

enum class Inner { no, readable, python };

// Names of Python's own structures. `readable`: pages about code print them, chats don't.
Inner inner_name(std::string_view name) {
  constexpr std::array<std::string_view, 9> k_readable{"__class__", "__name__",    "__doc__",
                                                       "__dict__",  "__version__", "__str__",
                                                       "__repr__",  "__len__",     "__module__"};
  constexpr std::array<std::string_view, 19> k_python{
      "mro",      "func_globals", "func_code", "gi_frame",     "gi_code",    "cr_frame", "cr_code",
      "ag_frame", "tb_frame",     "f_back",    "f_globals",    "f_builtins", "f_locals", "im_func",
      "im_self",  "im_class",     "_module",   "_environment", "_func"};
  if (name.size() > 4 && name.starts_with("__") && name.ends_with("__"))
    return std::find(k_readable.begin(), k_readable.end(), name) != k_readable.end()
               ? Inner::readable
               : Inner::python;
  return std::find(k_python.begin(), k_python.end(), name) != k_python.end() ? Inner::python
                                                                             : Inner::no;
}

// A dotted path (map(attribute='a.b')), or a field of str.format ("{0.__class__}").
Inner inner_path(std::string_view path) {
  Inner worst = Inner::no;
  for (std::size_t begin = 0; begin <= path.size();) {
    const std::size_t end = std::min(path.find_first_of(".[]{}!:", begin), path.size());
    worst = std::max(worst, inner_name(path.substr(begin, end - begin)));
    begin = end + 1;
  }
  return worst;
}

template <std::size_t N>
bool one_of(const std::array<std::string_view, N>& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

constexpr std::array<std::string_view, 17> k_gadgets{
    "lipsum",      "cycler",      "joiner",  "self", "request",
    "config",      "url_for",     "session", "g",    "get_flashed_messages",
    "application", "current_app", "os",      "sys",  "subprocess",
    "importlib",   "builtins"};

constexpr std::array<std::string_view, 18> k_calls{
    "eval",       "exec",   "compile",  "open",        "getattr",      "setattr",
    "globals",    "locals", "vars",     "system",      "popen",        "import_module",
    "breakpoint", "input",  "execfile", "load_module", "getattribute", "os"};

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c: out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  return out;
}

// A sentence: at least five words of letters, most of the text.
bool is_prose(std::string_view text) {
  std::size_t words = 0;
  std::size_t letters = 0;
  std::size_t run = 0;
  for (const char c: text) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '\'';
    if (letter) {
      ++letters;
      ++run;
    } else {
      words += run >= 2 && (c == ' ' || c == '.' || c == ',' || c == '!' || c == '?' || c == '\n');
      run = 0;
    }
  }
  words += run >= 2;
  return words >= 5 && letters * 3 >= text.size() * 2 - text.size() / 4;
}

bool has_address(std::string_view text) {
  return text.find("http://") != std::string_view::npos ||
         text.find("https://") != std::string_view::npos ||
         text.find("ftp://") != std::string_view::npos;
}

// Sentences that are kept from the person who chats.
std::optional<std::string> secret_instruction(std::string_view raw) {
  constexpr std::array<std::string_view, 12> k_not{
      "do not ",     "don't ", "never ",        "without ",   "not to ",  "must not ",
      "should not ", "avoid ", "refrain from ", "shouldn't ", "mustn't ", "cannot "};
  constexpr std::array<std::string_view, 22> k_tell{
      "mention",    "reveal",   "tell",        "inform",    "disclose", "alert",
      "notify",     "warn",     "mentioning",  "revealing", "telling",  "informing",
      "disclosing", "alerting", "notifying",   "warning",   "letting",  "let",
      "show",       "showing",  "acknowledge", "explain"};
  constexpr std::array<std::string_view, 12> k_whom{
      "the user",           "to user",   "this instruction", "these instructions", "this rule",
      "that you were told", "the human", "anyone",           "this prompt",        "this message",
      "the person",         "this to"};
  constexpr std::array<std::string_view, 8> k_override{"ignore previous instructions",
                                                       "ignore all previous",
                                                       "ignore the previous",
                                                       "disregard previous",
                                                       "disregard all",
                                                       "disregard the above",
                                                       "ignore the above instructions",
                                                       "override your safety"};
  const std::string text = lower(raw);
  for (const std::string_view phrase: k_override)
    if (const std::size_t at = text.find(phrase); at != std::string::npos)
      return std::string(raw.substr(at, 160));
  for (const std::string_view no: k_not) {
    for (std::size_t at = text.find(no); at != std::string::npos; at = text.find(no, at + 1)) {
      const std::string_view rest = std::string_view(text).substr(at + no.size(), 70);
      const std::string_view verb = rest.substr(0, rest.find(' '));
      if (!one_of(k_tell, verb)) continue;
      const std::string_view clause = rest.substr(0, rest.find_first_of(".\n;"));
      // How the templates of Qwen Coder and of its kin go on when there is no tool to call.
      if (clause == "tell the user about function calls") continue;
      for (const std::string_view whom: k_whom)
        if (clause.find(whom) != std::string_view::npos &&
            clause.find(" what ") == std::string_view::npos)
          return std::string(raw.substr(at, 160));
    }
  }
  return std::nullopt;
}

// Tags, zero-width and bidirectional characters. Joiners belong to scripts and emoji.
std::optional<std::size_t> hidden_character(std::string_view text) {
  for (std::size_t i = 0; i + 2 < text.size(); ++i) {
    const auto at = [&](std::size_t k) { return static_cast<unsigned char>(text[i + k]); };
    if (at(0) == 0xe2 && at(1) == 0x80 &&
        (at(2) == 0x8b || at(2) == 0x8e || at(2) == 0x8f || (at(2) >= 0xaa && at(2) <= 0xae)))
      return i;
    if (at(0) == 0xe2 && at(1) == 0x81 && (at(2) == 0xa0 || (at(2) >= 0xa6 && at(2) <= 0xa9)))
      return i;
    if (at(0) == 0xf3 && at(1) == 0xa0 && (at(2) == 0x80 || at(2) == 0x81)) return i;
  }
  return std::nullopt;
}

class Judge {
public:
  Judge(Session& session, std::string_view text, const TemplateOptions& options)
      : session_(session), text_(text), options_(options), tree_(parse(text)), folder_(tree_) {}
  Judge(Session& session, std::string_view text, const TemplateOptions& options, Tree tree)
      : session_(session), text_(text), options_(options), tree_(std::move(tree)), folder_(tree_) {}
  void run();
  void prompt() { text_written(text_, 0, {}); }

private:
  // What a statement stands under.
  struct Under {
    std::uint8_t flow = 0;
    std::uint32_t offset = 0; ///< of the condition
    std::uint64_t repeated = 1;
    bool looped = false;
  };

  /// What a condition depends on.
  std::uint8_t outcome(NodeId id) {
    return static_cast<std::uint8_t>(folder_.flow(id) & (k_tested | k_worded | k_dated));
  }
  void depend(NodeId id, std::uint8_t under);
  void walk(NodeId id, const Under& under);
  void statement(const Node& node, const Under& under);
  void expression(NodeId id);
  void name_used(const Node& node, std::string_view name, std::string_view how);
  void attribute(const Node& node);
  void subscript(const Node& node);
  void filter(const Node& node);
  void call(const Node& node);
  void repeats(const Node& node);
  void wide_fields(const Node& node, NodeId pattern);
  std::size_t uses(NodeId id, const std::string& key) const;
  void written(NodeId id, const Under& under);
  void text_written(std::string_view text, std::uint32_t offset, const Under& under);
  void filtered_body(NodeId id, const Under& under);
  void loop(const Node& node, Under& inner);
  std::int64_t rounds(const Node& node);
  void find(const Rule& rule, std::uint32_t offset, std::string_view what,
            std::optional<Severity> severity = {});
  std::string source(std::uint32_t offset, std::size_t n = 120) const;

  Session& session_;
  std::string_view text_;
  const TemplateOptions& options_;
  Tree tree_;
  Folder folder_;
  std::size_t told_ = 0;
};

std::string Judge::source(std::uint32_t offset, std::size_t n) const {
  return std::string(text_.substr(std::min<std::size_t>(offset, text_.size()), n));
}

void Judge::find(const Rule& rule, std::uint32_t offset, std::string_view what,
                 std::optional<Severity> severity) {
  if (++told_ > k_told && severity.value_or(rule.severity) != Severity::malicious) return;
  FindOptions options;
  options.severity = severity;
  options.condition = options_.condition;
  std::string evidence(options_.name);
  if (!evidence.empty()) evidence += ": ";
  evidence += what;
  session_.find(rule, options_.offset + offset, 0, evidence, options);
}

// What is set under a test on content or date tells of it.
void Judge::depend(NodeId id, std::uint8_t under) {
  const Node& node = tree_.at(id);
  if (node.kind == Kind::set && under != 0) {
    for (const NodeId target: tree_.at(node.children[0]).children)
      folder_.depends(folder_.key_of(target), under);
  }
  if (node.kind > Kind::broken) return;
  if (node.kind == Kind::if_) {
    std::uint8_t sofar = under;
    for (const NodeId branch: node.children) {
      const Node& part = tree_.at(branch);
      sofar = sofar | outcome(part.children[0]);
      depend(part.children[1], sofar);
    }
    return;
  }
  if (node.kind == Kind::set || node.kind == Kind::output) return;
  for (const NodeId child: node.children)
    depend(child, under);
}

void Judge::text_written(std::string_view text, std::uint32_t offset, const Under& under) {
  if (!options_.chat) return;
  if (const auto hidden = hidden_character(text))
    find(k_characters, offset, source(offset + static_cast<std::uint32_t>(*hidden), 60));
  if (const auto secret = secret_instruction(text)) find(k_instruction, offset, *secret);
  const bool worded = (under.flow & k_worded) != 0;
  const bool conditional = (under.flow & (k_worded | k_tested | k_dated)) != 0;
  const bool prose = is_prose(text);
  const bool address = has_address(text);
  const auto script = find_script(text);
  if (((worded || (under.flow & k_dated) != 0) && prose) || (conditional && (address || script)))
    find(k_conditional, offset,
         "under " + source(under.offset, 100) +
             " … it writes: " + std::string(text.substr(0, 160)));
  else if (script)
    find(k_instruction, offset,
         std::string(script->what) + ": " + std::string(text.substr(script->offset, 120)));
}

// The constant texts that an expression can put into the conversation.
void Judge::written(NodeId id, const Under& under) {
  const Node& node = tree_.at(id);
  switch (node.kind) {
  case Kind::string:
    text_written(node.text, node.offset, under);
    return;
  case Kind::binary:
  case Kind::list:
    for (const NodeId child: node.children)
      written(child, under);
    return;
  case Kind::condition: {
    Under inner = under;
    const std::uint8_t flow = outcome(node.children[1]);
    if (flow != 0) inner.offset = tree_.at(node.children[1]).offset;
    inner.flow |= flow;
    written(node.children[0], inner);
    if (node.children[2] != 0) written(node.children[2], inner);
    return;
  }
  case Kind::filter:
    written(node.children[0], under);
    for (std::size_t i = 1; i < node.children.size(); ++i)
      written(node.children[i], under);
    return;
  case Kind::keyword:
    written(node.children[0], under);
    return;
  case Kind::call: {
    const Node& callee = tree_.at(node.children[0]);
    // raise_exception(…) speaks to the person; tests write nothing.
    if (callee.kind == Kind::name && callee.text == "raise_exception") return;
    Under inner = under;
    if (callee.kind == Kind::attribute) {
      constexpr std::array<std::string_view, 6> k_tests{"startswith", "endswith", "find",
                                                        "split",      "count",    "index"};
      if (one_of(k_tests, callee.text)) return;
      written(callee.children[0], under);
      // content.replace('hello', 'a sentence'): a condition of its own.
      if (callee.text == "replace") inner.flow = inner.flow | outcome(id);
      if (inner.flow != under.flow) inner.offset = tree_.at(callee.children[0]).offset;
    }
    for (std::size_t i = 1; i < node.children.size(); ++i)
      written(node.children[i], inner);
    return;
  }
  default:
    return;
  }
}

void Judge::name_used(const Node& node, std::string_view name, std::string_view how) {
  const Inner inner = inner_path(name);
  if (inner == Inner::python || (inner == Inner::readable && options_.chat))
    find(k_escape, node.offset,
         std::string(how) + " " + std::string(name) + ": " +
             source(node.offset - std::min<std::uint32_t>(node.offset, 60), 160));
}

void Judge::attribute(const Node& node) {
  name_used(node, node.text, "attribute");
}

// "%1000000000d", "{:>1000000000}": a field of so many characters.
bool has_wide_field(std::string_view pattern) {
  std::size_t digits = 0;
  bool field = false;
  for (const char c: pattern) {
    if (c >= '0' && c <= '9') {
      if (++digits >= k_wide && field) return true;
      continue;
    }
    digits = 0;
    field = c == '%' || c == ':' ||
            (field && std::string_view("<>^-+.").find(c) != std::string_view::npos);
  }
  return false;
}

// Whether text is put together there: that is how an attribute's name is hidden.
bool composes(const Tree& tree, NodeId id) {
  const Node& node = tree.at(id);
  if (node.kind == Kind::binary) return node.text == "~" || node.text == "%";
  if (node.kind == Kind::filter)
    return node.text == "join" || node.text == "format" || node.text == "reverse" ||
           node.text == "string";
  if (node.kind == Kind::call) {
    const Node& callee = tree.at(node.children[0]);
    return callee.kind == Kind::attribute && (callee.text == "join" || callee.text == "format");
  }
  return false;
}

void Judge::subscript(const Node& node) {
  const Values index = folder_.fold(node.children[1]);
  for (const Value& value: index)
    if (value.type == Value::Type::text) name_used(node, value.text, "subscript");
  if (options_.chat && index.empty() && composes(tree_, node.children[1]))
    find(k_dynamic, node.offset, source(node.offset, 120));
}

void Judge::filter(const Node& node) {
  constexpr std::array<std::string_view, 12> k_by_name{
      "map",    "selectattr", "rejectattr", "groupby", "sort", "sum",
      "unique", "min",        "max",        "attr",    "join", "select"};
  constexpr std::array<std::string_view, 4> k_fillers{"center", "indent", "batch", "slice"};
  if (one_of(k_fillers, node.text)) repeats(node);
  if (node.text == "format") wide_fields(node, node.children[0]);
  if (!one_of(k_by_name, node.text)) return;
  for (std::size_t i = 1; i < node.children.size(); ++i) {
    const Node& argument = tree_.at(node.children[i]);
    const NodeId value = argument.kind == Kind::keyword ? argument.children[0] : node.children[i];
    const Values names = folder_.fold(value);
    for (const Value& name: names) {
      name_used(node, name.text, "filter " + node.text + " with");
      for (const std::string& item: name.items)
        name_used(node, item, "filter " + node.text + " with");
    }
    // A name that is no literal: what it is in the end may not all be known.
    if (node.text == "attr" && tree_.at(value).kind != Kind::string && options_.chat)
      find(k_dynamic, node.offset, source(node.offset, 120));
  }
}

// A length or a count among the arguments that fills all memory.
void Judge::repeats(const Node& node) {
  for (std::size_t i = 1; i < node.children.size(); ++i) {
    const Node& argument = tree_.at(node.children[i]);
    for (const Value& value:
         folder_.fold(argument.kind == Kind::keyword ? argument.children[0] : node.children[i]))
      if (value.type == Value::Type::number && value.number > k_max_repeat)
        find(k_exhaustion, node.offset, source(node.offset, 80));
  }
}

void Judge::wide_fields(const Node& node, NodeId pattern) {
  for (const Value& value: folder_.fold(pattern))
    if (has_wide_field(value.text)) find(k_exhaustion, node.offset, source(node.offset, 80));
}

void Judge::call(const Node& node) {
  const Node& callee = tree_.at(node.children[0]);
  if (options_.chat && callee.kind == Kind::subscript && folder_.fold(callee.children[1]).empty() &&
      tree_.at(callee.children[1]).kind != Kind::slice)
    find(k_dynamic, callee.offset, source(callee.offset, 120));
  if (callee.kind == Kind::name && !folder_.is_bound(callee.text)) {
    if (options_.chat && one_of(k_calls, callee.text))
      find(k_gadget, callee.offset, source(callee.offset, 120));
    if (callee.text == "range" && rounds(node) > k_max_range)
      find(k_exhaustion, callee.offset, source(callee.offset, 120));
  }
  constexpr std::array<std::string_view, 4> k_fillers{"ljust", "rjust", "center", "zfill"};
  if (callee.kind == Kind::attribute && one_of(k_fillers, callee.text)) repeats(node);
  if (callee.kind == Kind::attribute && (callee.text == "format" || callee.text == "format_map")) {
    wide_fields(node, callee.children[0]);
    for (const Value& pattern: folder_.fold(callee.children[0]))
      if (pattern.text.find('{') != std::string::npos) name_used(node, pattern.text, "format");
  }
}

void Judge::expression(NodeId id) {
  const Node& node = tree_.at(id);
  switch (node.kind) {
  case Kind::name:
    name_used(node, node.text, "name");
    if (options_.chat && one_of(k_gadgets, node.text) && !folder_.is_bound(node.text))
      find(k_gadget, node.offset, source(node.offset, 120));
    break;
  case Kind::attribute:
    attribute(node);
    break;
  case Kind::subscript:
    subscript(node);
    break;
  case Kind::filter:
    filter(node);
    break;
  case Kind::call:
    call(node);
    break;
  case Kind::binary:
    if (node.text == "*" || node.text == "**")
      for (const NodeId child: node.children)
        for (const Value& value: folder_.fold(child))
          if (value.type == Value::Type::number && value.number > k_max_repeat)
            find(k_exhaustion, node.offset,
                 source(node.offset - std::min<std::uint32_t>(node.offset, 30), 80));
    if (node.text == "%") wide_fields(node, node.children[0]);
    break;
  default:
    break;
  }
  for (const NodeId child: node.children)
    if (child != 0 && tree_.at(child).kind > Kind::broken) expression(child);
}

// How often the text of `key` stands in the text that is put together there.
std::size_t Judge::uses(NodeId id, const std::string& key) const {
  const Node& node = tree_.at(id);
  if (folder_.key_of(id) == key) return 1;
  if (node.kind != Kind::binary || (node.text != "~" && node.text != "+")) return 0;
  std::size_t count = 0;
  for (const NodeId child: node.children)
    count += uses(child, key);
  return count;
}

// How often a loop over range(…) turns.
std::int64_t Judge::rounds(const Node& node) {
  if (node.kind != Kind::call || tree_.at(node.children[0]).text != "range") return 1;
  std::int64_t most = 1;
  for (std::size_t i = 1; i < node.children.size() && i < 3; ++i)
    for (const Value& value: folder_.fold(node.children[i]))
      if (value.type == Value::Type::number) most = std::max(most, value.number);
  return most;
}

void Judge::loop(const Node& node, Under& inner) {
  const auto each = static_cast<std::uint64_t>(rounds(tree_.at(node.children[1])));
  if (each > 1 && inner.repeated > static_cast<std::uint64_t>(k_max_range) * 100 / each)
    find(k_exhaustion, node.offset, source(node.offset, 120));
  inner.repeated = std::min<std::uint64_t>(inner.repeated * each, std::uint64_t{1} << 40);
}

// {% set x | trim %}…{% endset %}: the body below the filters.
void Judge::filtered_body(NodeId id, const Under& under) {
  while (tree_.at(id).kind == Kind::filter)
    id = tree_.at(id).children[0];
  if (tree_.at(id).kind == Kind::body) walk(id, under);
}

void Judge::statement(const Node& node, const Under& under) {
  switch (node.kind) {
  case Kind::data:
    text_written(node.text, node.offset, under);
    return;
  case Kind::output:
    expression(node.children[0]);
    written(node.children[0], under);
    return;
  case Kind::set:
    if (tree_.at(node.children[1]).kind > Kind::broken) {
      if (under.looped)
        for (const NodeId target: tree_.at(node.children[0]).children)
          if (const std::string key = folder_.key_of(target);
              !key.empty() && uses(node.children[1], key) > 1)
            find(k_exhaustion, node.offset, source(node.offset, 120));
      expression(node.children[1]);
      written(node.children[1], under);
    }
    filtered_body(node.children[1], under);
    return;
  case Kind::filter_block:
    expression(node.children[0]);
    filtered_body(node.children[0], under);
    return;
  case Kind::reach: {
    expression(node.children[0]);
    const Values target = folder_.fold(node.children[0]);
    const std::string name = target.empty() ? "" : target[0].text;
    if (!name.empty())
      session_.refer("file", options_.offset + node.offset, name, options_.condition);
    if (options_.chat)
      find(k_import, node.offset, node.text + " " + (name.empty() ? "a computed name" : name));
    return;
  }
  case Kind::if_: {
    Under inner = under;
    for (const NodeId branch: node.children) {
      const Node& part = tree_.at(branch);
      if (part.children[0] != 0) {
        expression(part.children[0]);
        const std::uint8_t flow = outcome(part.children[0]);
        if (flow != 0) inner.offset = part.offset;
        inner.flow |= flow;
      }
      walk(part.children[1], inner);
    }
    return;
  }
  case Kind::for_: {
    Under inner = under;
    expression(node.children[1]);
    if (node.children[2] != 0) {
      expression(node.children[2]);
      inner.flow = inner.flow | outcome(node.children[2]);
      if (inner.flow != under.flow) inner.offset = node.offset;
    }
    loop(node, inner);
    inner.looped = true;
    walk(node.children[3], inner);
    if (node.children[4] != 0) walk(node.children[4], under);
    return;
  }
  case Kind::broken:
    for (const NodeId child: node.children)
      name_used(tree_.at(child), tree_.at(child).text, "in a broken tag");
    return;
  default:
    break;
  }
  for (const NodeId child: node.children) {
    if (child == 0) continue;
    if (tree_.at(child).kind > Kind::broken)
      expression(child);
    else
      walk(child, under);
  }
}

void Judge::walk(NodeId id, const Under& under) {
  const Node& node = tree_.at(id);
  if (node.kind != Kind::body) {
    statement(node, under);
    return;
  }
  for (const NodeId child: node.children)
    statement(tree_.at(child), under);
}

void Judge::run() {
  if (tree_.too_large) {
    session_.gap(Reason::budget, Reach::load, options_.offset,
                 "a template too large or too deep to be read", options_.condition);
  } else if (!tree_.problem.empty() && options_.chat) {
    session_.gap(Reason::malformed, Reach::load, options_.offset + tree_.problem_offset,
                 "a template that can't be parsed: " + tree_.problem, options_.condition);
  }
  if (tree_.nodes.size() < 2) return;
  for (int round = 0; round < 3; ++round) {
    depend(tree_.root, 0);
    folder_.settle();
  }
  walk(tree_.root, {});
}

} // namespace

void analyse_template(Session& session, std::string_view text, const TemplateOptions& options) {
  if (options.chat) {
    // Two files of one repository that carry different templates are told apart by it.
    BlockHasher hasher;
    hasher.update(as_bytes(text));
    session.refer("template", options.offset, hex(hasher.finish().sha256), options.condition);
  }
  if (session.showing()) show_tree(session, parse(text), options.offset);
  Judge(session, text, options).run();
}

void judge_prompt(Session& session, std::string_view text, const TemplateOptions& options) {
  Judge(session, text, options, Tree()).prompt();
}

bool talks(const Tree& tree) {
  constexpr std::array<std::string_view, 5> k_names{"messages", "add_generation_prompt",
                                                    "bos_token", "eos_token", "raise_exception"};
  return std::any_of(tree.nodes.begin(), tree.nodes.end(), [&](const Node& node) {
    return node.kind == Kind::name && one_of(k_names, node.text);
  });
}

std::span<const Rule> template_rules() {
  return k_rules;
}

} // namespace hubgate::jinja
