// What library functions make of constants: decoders that are not called so (struct, uuid,
// ipaddress), JSON, templates, regular expressions. Payloads are put together with these.
#include "scanner/code/python/evaluator.hpp"

#include <re2/re2.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>

namespace hubgate::python {
namespace {

constexpr std::size_t k_most_items = 4096;
constexpr std::size_t k_longest_text = std::size_t{64} << 10;
constexpr std::size_t k_max_pattern = 512;
constexpr unsigned k_max_json_depth = 32;
constexpr Labels k_handed_on = ~(k_process | k_code | k_pieces);

int nibble(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char low = static_cast<char>(c | 0x20);
  return low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}

/// The 16 bytes of a UUID, or nothing. RFC 9562, section 4; Python takes braces and "urn:uuid:".
std::string uuid_bytes(std::string_view text) {
  if (text.starts_with("urn:uuid:")) text.remove_prefix(9);
  std::string digits;
  for (const char c: text) {
    if (c == '-' || c == '{' || c == '}') continue;
    if (nibble(c) < 0) return {};
    digits += c;
  }
  if (digits.size() != 32) return {};
  std::string out;
  for (std::size_t i = 0; i < 32; i += 2)
    out += static_cast<char>(nibble(digits[i]) << 4 | nibble(digits[i + 1]));
  return out;
}

/// The four bytes of an IPv4 address, or nothing.
std::string address_bytes(std::string_view text) {
  std::string out;
  int part = -1;
  for (std::size_t i = 0; i <= text.size(); ++i) {
    if (i < text.size() && text[i] >= '0' && text[i] <= '9') {
      part = std::max(part, 0) * 10 + (text[i] - '0');
      if (part > 255) return {};
    } else if ((i == text.size() || text[i] == '.') && part >= 0 && out.size() < 4) {
      out += static_cast<char>(part);
      part = -1;
    } else {
      return {};
    }
  }
  return out.size() == 4 ? out : std::string();
}

/// Bytes of an item of struct's formats; 0: not a number's format.
std::size_t struct_size(char format) {
  switch (format) {
  case 'b':
  case 'B':
  case 'c':
  case '?':
    return 1;
  case 'h':
  case 'H':
    return 2;
  case 'i':
  case 'I':
  case 'l':
  case 'L':
    return 4;
  case 'q':
  case 'Q':
    return 8;
  default:
    return 0;
  }
}

} // namespace

// JSON text as values; anything that is no JSON makes `good` false.
struct Evaluator::JsonText {
  std::string_view text;
  std::size_t at = 0;
  bool good = true;

  char next() {
    while (at < text.size() && (text[at] == ' ' || text[at] == '\t' || text[at] == '\n' ||
                                text[at] == '\r' || text[at] == ',' || text[at] == ':'))
      ++at;
    return at < text.size() ? text[at] : '\0';
  }
};

Value Evaluator::json_value(JsonText& json, const Value& from, const Value& hook, NodeId node,
                            unsigned depth) {
  const char c = json.next();
  if (depth > k_max_json_depth || !tick()) {
    json.good = false;
    return {};
  }
  if (c == '"') {
    const std::size_t begin = ++json.at;
    while (json.at < json.text.size() && json.text[json.at] != '"')
      json.at += json.text[json.at] == '\\' ? 2 : 1;
    const std::size_t end = std::min(json.at, json.text.size());
    json.good = json.good && json.at < json.text.size();
    ++json.at;
    if (!charge(end - begin)) return {};
    return make_text(unescaped(json.text.substr(begin, end - begin), false),
                     from.labels & k_handed_on, false);
  }
  if (c == '[' || c == '{') {
    const char close = c == '[' ? ']' : '}';
    ++json.at;
    std::vector<Value> items;
    while (json.good && json.next() != close && items.size() < 2 * k_most_items) {
      if (json.next() == '\0') json.good = false;
      items.push_back(json_value(json, from, hook, node, depth + 1));
    }
    ++json.at;
    Value out = make_list(std::move(items), from.labels & k_handed_on);
    if (c == '[' || out.kind != Kind::list) return out;
    out.kind = Kind::dict;
    if (hook.kind == Kind::unknown) return out;
    Arguments arguments;
    arguments.positional.push_back(out);
    return apply(hook, arguments, node);
  }
  const std::size_t begin = json.at;
  while (json.at < json.text.size() &&
         (std::isalnum(static_cast<unsigned char>(json.text[json.at])) != 0 ||
          json.text[json.at] == '-' || json.text[json.at] == '+' || json.text[json.at] == '.'))
    ++json.at;
  const std::string word(json.text.substr(begin, json.at - begin));
  if (word.empty()) json.good = false;
  if (word == "null") return {.kind = Kind::none};
  if (word == "true" || word == "false") return make_integer(word == "true" ? 1 : 0);
  if (word.size() > 18 || word.find_first_not_of("-0123456789") != std::string::npos)
    return unknown(0, node);
  return make_integer(std::strtoll(word.c_str(), nullptr, 10));
}

// A class that type(name, bases, attributes) makes.
Value Evaluator::made_class(const Arguments& arguments) {
  Class klass;
  if (const Value bases = arguments.get(1); bases.kind == Kind::list)
    klass.bases = lists_[bases.ref];
  const std::vector<Value> pairs = lists_[arguments.get(2).ref];
  for (std::size_t i = 0; i + 1 < pairs.size(); i += 2)
    if (pairs[i].is_text()) klass.attributes[raw(pairs[i])] = pairs[i + 1];
  classes_.push_back(std::move(klass));
  Value out{.kind = Kind::klass};
  out.ref = static_cast<std::uint32_t>(classes_.size() - 1);
  for (std::size_t i = 1; i < pairs.size(); i += 2)
    if (pairs[i].kind == Kind::function && functions_[pairs[i].ref].klass == k_nowhere)
      functions_[pairs[i].ref].klass = out.ref;
  return out;
}

// sorted() of constants; keys of a dict.
bool Evaluator::sorted_constants(const Arguments& arguments, Value& out) {
  const Value first = arguments.get(0);
  std::vector<Value> list;
  if (first.kind == Kind::dict) {
    const auto& pairs = lists_[first.ref];
    for (std::size_t i = 0; i + 1 < pairs.size(); i += 2)
      list.push_back(pairs[i]);
  } else if (first.kind == Kind::unknown || !reads_as_list(first, list)) {
    return false;
  }
  if (arguments.find("key") != nullptr || list.empty() || list.size() > k_most_items ||
      !charge(list.size() * sizeof(Value)))
    return false;
  const Kind kind = list.front().kind;
  for (const Value& value: list)
    if (value.kind != kind || !value.is_constant()) return false;
  ticks_ += list.size();
  std::stable_sort(list.begin(), list.end(), [&](const Value& a, const Value& b) {
    return kind == Kind::integer ? a.number < b.number : text_of(a) < text_of(b);
  });
  if (const Value* reverse = arguments.find("reverse"); reverse != nullptr && reverse->number == 1)
    std::reverse(list.begin(), list.end());
  out = make_list(std::move(list), first.labels & k_handed_on);
  return true;
}

bool Evaluator::substituted(const Arguments& arguments, NodeId at, Value& out) {
  const Value pattern = arguments.get(0, "pattern");
  const Value with = arguments.get(1, "repl");
  const Value text = arguments.get(2, "string");
  if (pattern.kind != Kind::text || pattern.partial || !text.is_constant() || !text.is_text() ||
      raw(pattern).size() > k_max_pattern || raw(text).size() > k_longest_text ||
      raw(text).empty() || !charge(raw(text).size()))
    return false;
  const bool callable =
      with.kind == Kind::function || with.kind == Kind::name || with.kind == Kind::partial;
  if (!callable && (!with.is_text() || with.partial)) return false;
  RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(std::int64_t{1} << 20);
  options.set_encoding(RE2::Options::EncodingLatin1);
  const RE2 expression(raw(pattern), options);
  if (!expression.ok()) return false;
  ticks_ += raw(text).size() / 4;
  if (!callable) {
    std::string made = raw(text);
    std::string rewrite = raw(with);
    if (rewrite.find("\\g") != std::string::npos) return false;
    RE2::GlobalReplace(&made, expression, rewrite);
    if (!charge(made.size())) return false;
    const bool changed = made != raw(text);
    out = make_text(std::move(made),
                    ((text.labels | with.labels) & k_handed_on) |
                        (changed ? Labels{k_pieces} : Labels{0}),
                    false, text.kind);
    return true;
  }
  const std::string whole = raw(text);
  re2::StringPiece rest(whole);
  re2::StringPiece hit;
  std::string made;
  Labels labels = text.labels & k_handed_on;
  for (std::size_t n = 0; n < k_most_items && !rest.empty(); ++n) {
    if (!expression.Match(rest, 0, rest.size(), RE2::UNANCHORED, &hit, 1) || hit.empty()) break;
    made.append(rest.data(), static_cast<std::size_t>(hit.data() - rest.data()));
    Arguments arguments_of;
    arguments_of.positional.push_back(
        make_text(std::string(hit.data(), hit.size()), text.labels & k_handed_on, false));
    const Value given = apply(with, arguments_of, at);
    labels |= given.labels & k_handed_on;
    if (!given.is_text() || given.partial || over_budget_) {
      out = unknown(labels, at, text.step);
      return true;
    }
    made += raw(given);
    if (!charge(hit.size() + raw(given).size())) return false;
    const std::size_t passed = static_cast<std::size_t>(hit.data() - rest.data()) + hit.size();
    rest.remove_prefix(passed);
  }
  made.append(rest.data(), rest.size());
  out = make_text(std::move(made), labels, false, text.kind);
  return true;
}

// struct.pack(format, numbers…): the byte strings of one that are constants.
bool Evaluator::packed(const Arguments& arguments, Value& out) {
  const Value format = arguments.get(0);
  if (!format.is_text() || format.partial || arguments.open) return false;
  std::string_view text = raw(format);
  const bool big = text.starts_with('>') || text.starts_with('!');
  if (!text.empty() && std::string_view("<>=!@").find(text[0]) != std::string_view::npos)
    text.remove_prefix(1);
  std::string made;
  Labels labels = 0;
  std::size_t next = 1;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == ' ') continue;
    std::size_t count = 0;
    const bool counted = text[i] >= '0' && text[i] <= '9';
    for (; i < text.size() && text[i] >= '0' && text[i] <= '9'; ++i)
      count = std::min<std::size_t>(count * 10 + static_cast<std::size_t>(text[i] - '0'), 1U << 20);
    if (i >= text.size()) return false;
    if (!counted) count = 1;
    if (count > k_most_items || !charge(8 * count)) return false;
    if (text[i] == 'x') {
      made.append(count, '\0');
      continue;
    }
    const std::size_t size = struct_size(text[i]);
    const std::size_t rounds = text[i] == 's' ? 1 : count;
    for (std::size_t n = 0; n < rounds; ++n) {
      if (next >= arguments.positional.size()) return false;
      const Value& value = arguments.positional[next++];
      labels |= value.labels & k_handed_on;
      if (size == 0 || text[i] == 'c') {
        if ((text[i] != 's' && text[i] != 'c') || !value.is_text() || value.partial) return false;
        std::string field = raw(value);
        field.resize(count, '\0');
        made += text[i] == 's' ? field : raw(value);
        continue;
      }
      if (value.kind != Kind::integer) return false;
      const auto number = static_cast<std::uint64_t>(value.number);
      for (std::size_t b = 0; b < size; ++b)
        made += static_cast<char>(number >> 8 * (big ? size - 1 - b : b) & 0xff);
    }
  }
  out = make_text(std::move(made), labels | k_computed, false, Kind::bytes);
  return true;
}

// YAML with tags that call something: what PyYAML's unsafe loaders would run.
void Evaluator::judge_yaml(const Value& text, NodeId at) {
  if (!text.is_text()) return;
  const std::string yaml = raw(text);
  for (std::size_t tag = yaml.find("!!python/object"); tag != std::string::npos;
       tag = yaml.find("!!python/object", tag + 1)) {
    const std::size_t colon = yaml.find(':', tag);
    if (colon == std::string::npos) return;
    const std::size_t end = std::min(yaml.find_first_of(" \t\r\n[{'\"", colon), yaml.size());
    const std::string callee = canonical(std::string_view(yaml).substr(colon + 1, end - colon - 1));
    const Callable* known = find_callable(callee);
    if (known != nullptr && runs_something(known->op))
      report(R::execution, at, &text, "a YAML text in the code calls " + callee);
  }
}

bool Evaluator::fold_call(const std::string& path, const Arguments& arguments, NodeId at,
                          Value& out) {
  const Value first = arguments.get(0);
  const auto bytes = [&](std::string made, Labels labels) {
    if (made.empty()) return false;
    out = make_text(std::move(made), (first.labels & k_handed_on) | labels, false, Kind::bytes);
    return true;
  };
  const bool constant = first.is_text() && !first.partial;
  if (path == "type") {
    if (arguments.positional.size() != 3 || arguments.get(2).kind != Kind::dict) return false;
    return out = made_class(arguments), true;
  }
  if (path == "sum") {
    if (first.kind != Kind::list || lists_[first.ref].empty()) return false;
    std::uint64_t sum = 0;
    Labels labels = first.labels & k_handed_on;
    if (const Value start = arguments.get(1, "start"); start.kind == Kind::integer)
      sum = static_cast<std::uint64_t>(start.number);
    for (const Value& value: lists_[first.ref]) {
      if (value.kind != Kind::integer) return false;
      sum += static_cast<std::uint64_t>(value.number);
      labels |= value.labels;
    }
    out = make_integer(static_cast<std::int64_t>(sum));
    out.labels = labels;
    return true;
  }
  if (path == "str.maketrans" || path == "bytes.maketrans") {
    if (first.kind == Kind::dict) return out = first, true;
    return constant && text_method(first, "maketrans", arguments, at, out);
  }
  if (path == "json.loads") {
    if (!constant || raw(first).size() > k_longest_text) return false;
    const std::string text = raw(first);
    JsonText json{.text = text};
    const Value* hook = arguments.find("object_hook");
    out = json_value(json, first, hook != nullptr ? *hook : Value{}, at, 0);
    return json.good;
  }
  if (path == "struct.pack") return packed(arguments, out);
  if (path == "re.sub") return substituted(arguments, at, out);
  if (path == "uuid.UUID") return constant && bytes(uuid_bytes(raw(first)), 0);
  if (path == "socket.inet_aton") return constant && bytes(address_bytes(raw(first)), k_decoded);
  if (path.starts_with("ipaddress.")) return constant && bytes(address_bytes(raw(first)), 0);
  if (path == "Crypto.Util.number.long_to_bytes") {
    if (first.number != k_long_number || first.kind != Kind::unknown) return false;
    const std::string digits = raw(first);
    return bytes(digits, k_decoded);
  }
  if (path == "string.Template") return out = first, constant;
  if (path == "fsspec.open" || path == "smart_open.open") {
    if (!constant || raw(first).find("://") == std::string::npos) return false;
    note(f_net_in, tree_[at].begin);
    return out = make_name(path + "()", k_net, step(at, 0)), true;
  }
  if (path == "pycurl.Curl().setopt") { // (WRITEDATA, buffer), (WRITEFUNCTION, buffer.write)
    NodeId buffer = tree_.kid(at, 2);
    if (tree_[buffer].kind == NodeKind::attribute) buffer = tree_.kid(buffer, 0);
    if (const Value what = evaluate(buffer); arguments.positional.size() > 1 && !what.is_text())
      mark(buffer, what, k_net, step(at, 0));
    else if (arguments.positional.size() > 1 && raw(what).empty())
      mark(buffer, what, k_net, step(at, 0));
    return false;
  }
  if (path.starts_with("code.")) { // interact()
    Value from;
    from.step = stdin_of_socket_;
    if (stdin_of_socket_ != 0)
      report(R::remote_control, at, &from, "what a socket receives is run as code");
    return false;
  }
  if (path == "rpyc.utils.server.ThreadedServer" || path == "rpyc.utils.server.ForkingServer") {
    if (first.kind == Kind::name &&
        (raw(first).ends_with("SlaveService") || raw(first).ends_with("ClassicService")))
      report(R::remote_control, at, &first, "whoever connects may run any code");
    return false;
  }
  if (path.starts_with("yaml.")) { // also yaml.load(text, Loader=…)
    judge_yaml(first, at);
    return false;
  }
  if (path.starts_with("jinja2.")) {
    // What climbs from a value of the template into Python itself.
    const std::string_view text = constant ? std::string_view(raw(first)) : std::string_view();
    for (const std::string_view step:
         {"__globals__", "__subclasses__", "__import__", "__builtins__"})
      if (text.find(step) != std::string_view::npos && text.find('{') != std::string_view::npos)
        report(R::execution, at, &first, "a template in the code climbs into Python");
    return false;
  }
  return false;
}

} // namespace hubgate::python
