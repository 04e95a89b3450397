#include "scanner/code/jinja/fold.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace hubgate::jinja {
namespace {

constexpr std::size_t k_alternatives = 8;
constexpr std::size_t k_text = 2048; ///< bytes of one folded text
constexpr std::size_t k_items = 128; ///< of one folded list
constexpr std::size_t k_bytes = std::size_t{8} << 20;
constexpr std::uint32_t k_nested = 600; ///< values inside values

std::string lower(std::string text) {
  for (char& c: text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  return text;
}
std::string upper(std::string text) {
  for (char& c: text)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
  return text;
}
std::string trimmed(std::string_view text) {
  constexpr std::string_view k_space = " \t\r\n\f\v";
  const std::size_t begin = text.find_first_not_of(k_space);
  if (begin == std::string_view::npos) return {};
  return std::string(text.substr(begin, text.find_last_not_of(k_space) - begin + 1));
}
std::string replaced(const std::string& text, const std::string& from, const std::string& to) {
  if (from.empty()) return text;
  std::string out;
  std::size_t at = 0;
  for (std::size_t hit = text.find(from); hit != std::string::npos && out.size() < k_text;
       hit = text.find(from, at)) {
    out.append(text, at, hit - at);
    out += to;
    at = hit + from.size();
  }
  return out.append(text, at);
}

std::string as_string(const Value& value) {
  if (value.type == Value::Type::number) return std::to_string(value.number);
  return value.text;
}

// Stays at the largest number where it would wrap.
std::int64_t power(std::int64_t base, std::int64_t exponent) {
  std::int64_t result = 1;
  for (std::int64_t i = 0; i < exponent; ++i)
    if (base == 0 || base == 1 || __builtin_mul_overflow(result, base, &result))
      return base == 0 || base == 1 ? base : INT64_MAX;
  return result;
}

std::vector<std::string> letters(const std::string& text) {
  std::vector<std::string> out;
  for (const char c: text)
    if (out.size() < k_items) out.emplace_back(1, c);
  return out;
}

std::string joined(const Value& value, const std::string& separator) {
  const std::vector<std::string> items =
      value.type == Value::Type::list ? value.items : letters(value.text);
  std::string out;
  for (std::size_t i = 0; i < items.size(); ++i)
    out += (i == 0 ? std::string() : separator) + items[i];
  return out;
}

// "%s%c%d" % values, and "{}{0}".format(values).
std::string percent_format(const std::string& pattern, const std::vector<Value>& arguments) {
  std::string out;
  std::size_t used = 0;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] != '%' || i + 1 >= pattern.size()) {
      out += pattern[i];
      continue;
    }
    ++i;
    while (i < pattern.size() && (pattern[i] == '-' || pattern[i] == '.' || pattern[i] == '0' ||
                                  (pattern[i] >= '1' && pattern[i] <= '9')))
      ++i;
    if (i >= pattern.size()) break;
    if (pattern[i] == '%') {
      out += '%';
    } else if (used < arguments.size()) {
      const Value& argument = arguments[used++];
      // Lists keep their numbers as text.
      std::int64_t letter = argument.number;
      const bool digits =
          argument.type == Value::Type::text && argument.text.size() > 1 &&
          std::from_chars(argument.text.data(), argument.text.data() + argument.text.size(), letter)
                  .ec == std::errc();
      if (pattern[i] == 'c' && (digits || argument.type == Value::Type::number))
        out += static_cast<char>(letter & 0x7f);
      else
        out += as_string(argument);
    }
  }
  return out;
}

std::string brace_format(const std::string& pattern, const std::vector<Value>& arguments) {
  std::string out;
  std::size_t next = 0;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] != '{') {
      out += pattern[i];
      continue;
    }
    const std::size_t close = pattern.find('}', i);
    if (close == std::string::npos) break;
    const std::string field = pattern.substr(i + 1, close - i - 1);
    std::size_t index = next;
    const std::size_t digits = field.find_first_not_of("0123456789");
    if (!field.empty() && digits != 0)
      std::from_chars(field.data(), field.data() + field.size(), index);
    else
      ++next;
    if (index < arguments.size()) {
      const bool letter = field.ends_with(":c") && arguments[index].type == Value::Type::number;
      out += letter ? std::string(1, static_cast<char>(arguments[index].number & 0x7f))
                    : as_string(arguments[index]);
    }
    i = close;
  }
  return out;
}

} // namespace

Folder::Folder(const Tree& tree) : tree_(tree) {
  collect();
}

std::string Folder::key_of(NodeId id) const {
  const Node& node = tree_.at(id);
  if (node.kind == Kind::name) return node.text;
  if (node.kind == Kind::attribute) {
    const Node& object = tree_.at(node.children[0]);
    if (object.kind == Kind::name) return object.text + "." + node.text;
  }
  return {};
}

void Folder::collect() {
  std::map<std::string, std::vector<std::string>, std::less<>> macros;
  const auto bind = [&](const std::string& key, NodeId value, bool items) {
    if (key.empty() || value == 0) return;
    auto& bindings = bound_[key];
    if (bindings.size() < 64) bindings.push_back({value, items});
  };
  for (const Node& node: tree_.nodes) {
    if (node.kind == Kind::set && node.children.size() == 2) {
      const Node& targets = tree_.at(node.children[0]);
      const Node& value = tree_.at(node.children[1]);
      if (targets.children.size() == 1) {
        const std::string key = key_of(targets.children[0]);
        bind(key, node.children[1], false);
        // namespace(a=1): the attributes are names of their own.
        if (value.kind == Kind::call)
          for (const NodeId argument: value.children)
            if (tree_.at(argument).kind == Kind::keyword)
              bind(key + "." + tree_.at(argument).text, tree_.at(argument).children[0], false);
      } else if (value.kind == Kind::list && value.children.size() == targets.children.size()) {
        for (std::size_t i = 0; i < targets.children.size(); ++i)
          bind(key_of(targets.children[i]), value.children[i], false);
      }
    } else if (node.kind == Kind::for_) {
      for (const NodeId target: tree_.at(node.children[0]).children)
        bind(key_of(target), node.children[1], true);
    } else if (node.kind == Kind::macro) {
      auto& parameters = macros[node.text];
      for (const NodeId parameter: node.children) {
        const Node& keyword = tree_.at(parameter);
        if (keyword.kind != Kind::keyword) continue;
        parameters.push_back(keyword.text);
        bind(keyword.text, keyword.children[0], false);
      }
    }
  }
  for (const Node& node: tree_.nodes) {
    if (node.kind != Kind::call || tree_.at(node.children[0]).kind != Kind::name) continue;
    const auto macro = macros.find(tree_.at(node.children[0]).text);
    if (macro == macros.end()) continue;
    for (std::size_t i = 1; i < node.children.size(); ++i) {
      const Node& argument = tree_.at(node.children[i]);
      if (argument.kind == Kind::keyword)
        bind(argument.text, argument.children[0], false);
      else if (i - 1 < macro->second.size())
        bind(macro->second[i - 1], node.children[i], false);
    }
  }
}

const Values& Folder::fold(NodeId id) {
  const auto known = values_.find(id);
  if (known != values_.end()) return known->second;
  static const Values k_unknown;
  if (bytes_ > k_bytes || nested_ > k_nested) return k_unknown;
  ++nested_;
  Values out = compute(id);
  --nested_;
  if (out.size() > k_alternatives) out.resize(k_alternatives);
  for (Value& value: out) {
    if (value.text.size() > k_text) value.text.resize(k_text);
    if (value.items.size() > k_items) value.items.resize(k_items);
    bytes_ += value.text.size() + 32;
    for (const std::string& item: value.items)
      bytes_ += item.size() + 32;
  }
  return values_.emplace(id, std::move(out)).first->second;
}

Values Folder::of_name(const std::string& key) {
  const auto bindings = bound_.find(key);
  if (bindings == bound_.end() || busy_[key]) return {};
  busy_[key] = true;
  Values out;
  for (const Binding& binding: bindings->second) {
    for (const Value& value: fold(binding.node)) {
      if (out.size() >= k_alternatives) break;
      if (!binding.items) {
        out.push_back(value);
      } else {
        const auto items = value.type == Value::Type::list ? value.items : letters(value.text);
        for (const std::string& item: items)
          if (out.size() < k_alternatives) out.push_back(Value::of(item));
      }
    }
  }
  busy_[key] = false;
  return out;
}

Values Folder::of_binary(const Node& node) {
  const Values left = fold(node.children[0]);
  if (node.text == "and" || node.text == "or") {
    Values out = left;
    const Values& right = fold(node.children[1]);
    out.insert(out.end(), right.begin(), right.end());
    return out;
  }
  // "%s" % something unknown still shows its own letters.
  const Values right = fold(node.children[1]);
  Values out;
  for (const Value& a: left) {
    for (const Value& b: right) {
      if (out.size() >= k_alternatives) return out;
      const bool numbers = a.type == Value::Type::number && b.type == Value::Type::number;
      if (node.text == "~" || (node.text == "+" && !numbers)) {
        if (a.type == Value::Type::list && b.type == Value::Type::list) {
          Value both = a;
          both.items.insert(both.items.end(), b.items.begin(), b.items.end());
          out.push_back(std::move(both));
        } else {
          out.push_back(Value::of(as_string(a) + as_string(b)));
        }
      } else if (node.text == "%" && a.type == Value::Type::text) {
        std::vector<Value> arguments;
        if (b.type == Value::Type::list)
          for (const std::string& item: b.items)
            arguments.push_back(Value::of(item));
        else
          arguments.push_back(b);
        out.push_back(Value::of(percent_format(a.text, arguments)));
      } else if (node.text == "*" && !numbers) {
        const Value& text = a.type == Value::Type::number ? b : a;
        const std::int64_t times = a.type == Value::Type::number ? a.number : b.number;
        if (text.type != Value::Type::text || times < 0 || times > 64) continue;
        std::string repeated;
        for (std::int64_t i = 0; i < times && repeated.size() < k_text; ++i)
          repeated += text.text;
        out.push_back(Value::of(std::move(repeated)));
      } else if (numbers) {
        std::int64_t result = 0;
        bool fits = true;
        if (node.text == "+")
          fits = !__builtin_add_overflow(a.number, b.number, &result);
        else if (node.text == "-")
          fits = !__builtin_sub_overflow(a.number, b.number, &result);
        else if (node.text == "*") {
          if (__builtin_mul_overflow(a.number, b.number, &result)) result = INT64_MAX;
        } else if (node.text == "**")
          result = power(a.number, b.number);
        else
          fits = false;
        if (fits) out.push_back(Value::of(result));
      }
    }
  }
  return out;
}

Values Folder::method(const Values& object, const std::string& name,
                      const std::vector<NodeId>& arguments) {
  const auto argument = [&](std::size_t i) -> Values {
    if (i >= arguments.size()) return {};
    const Node& node = tree_.at(arguments[i]);
    return fold(node.kind == Kind::keyword ? node.children[0] : arguments[i]);
  };
  Values out;
  for (const Value& value: object) {
    const bool text = value.type == Value::Type::text;
    if (name == "join" || name == "d.join") {
      out.push_back(Value::of(joined(value, argument(0).empty() ? "" : as_string(argument(0)[0]))));
    } else if (name == "lower" && text) {
      out.push_back(Value::of(lower(value.text)));
    } else if ((name == "upper") && text) {
      out.push_back(Value::of(upper(value.text)));
    } else if ((name == "trim" || name == "strip" || name == "lstrip" || name == "rstrip") &&
               text) {
      std::string result = trimmed(value.text);
      if (const Values cut = argument(0); !cut.empty()) {
        const std::size_t begin = value.text.find_first_not_of(cut[0].text);
        const std::size_t end = value.text.find_last_not_of(cut[0].text);
        result = begin == std::string::npos ? "" : value.text.substr(begin, end - begin + 1);
      }
      out.push_back(Value::of(std::move(result)));
    } else if (name == "replace" && text && !argument(0).empty() && !argument(1).empty()) {
      out.push_back(
          Value::of(replaced(value.text, as_string(argument(0)[0]), as_string(argument(1)[0]))));
    } else if (name == "reverse") {
      Value turned = value;
      std::reverse(turned.text.begin(), turned.text.end());
      std::reverse(turned.items.begin(), turned.items.end());
      out.push_back(std::move(turned));
    } else if (name == "first" || name == "last" || name == "random" || name == "min" ||
               name == "max") {
      const auto items = value.type == Value::Type::list ? value.items : letters(value.text);
      if (items.empty()) continue;
      if (name == "last")
        out.push_back(Value::of(items.back()));
      else if (name == "first")
        out.push_back(Value::of(items.front()));
      else
        for (const std::string& item: items)
          if (out.size() < k_alternatives) out.push_back(Value::of(item));
    } else if (name == "list" || name == "unique" || name == "sort" || name == "dictsort" ||
               name == "items") {
      out.push_back(value.type == Value::Type::list ? value : Value::of(letters(value.text)));
    } else if (name == "split" && text) {
      const Values at = argument(0);
      const std::string separator = at.empty() ? " " : as_string(at[0]);
      std::vector<std::string> parts;
      std::size_t begin = 0;
      for (std::size_t hit = value.text.find(separator);
           !separator.empty() && hit != std::string::npos && parts.size() < k_items;
           hit = value.text.find(separator, begin)) {
        parts.push_back(value.text.substr(begin, hit - begin));
        begin = hit + separator.size();
      }
      parts.push_back(value.text.substr(begin));
      out.push_back(Value::of(std::move(parts)));
    } else if (name == "format" && text) {
      std::vector<Value> values;
      for (std::size_t i = 0; i < arguments.size(); ++i) {
        const Values one = argument(i);
        values.push_back(one.empty() ? Value::of(std::string("?")) : one[0]);
      }
      const bool braces = value.text.find('{') != std::string::npos;
      out.push_back(Value::of(braces ? brace_format(value.text, values)
                                     : percent_format(value.text, values)));
    } else if (name == "string" || name == "safe" || name == "escape" || name == "e" ||
               name == "default" || name == "d" || name == "int" || name == "encode" ||
               name == "decode" || name == "keys" || name == "abs" || name == "forceescape") {
      out.push_back(value);
    } else if (name == "capitalize" && text && !value.text.empty()) {
      out.push_back(Value::of(upper(value.text.substr(0, 1)) + lower(value.text.substr(1))));
    }
    if (out.size() >= k_alternatives) break;
  }
  if (name == "default" || name == "d") {
    const Values other = argument(0);
    out.insert(out.end(), other.begin(), other.end());
  }
  return out;
}

Values Folder::of_filter(const Node& node) {
  const Values operand = fold(node.children[0]);
  const std::vector<NodeId> arguments(node.children.begin() + 1, node.children.end());
  return method(operand, node.text, arguments);
}

Values Folder::of_call(const Node& node) {
  const Node& callee = tree_.at(node.children[0]);
  std::vector<NodeId> arguments(node.children.begin() + 1, node.children.end());
  if (callee.kind == Kind::attribute) {
    const Values object = fold(callee.children[0]);
    if (callee.text == "join" && !object.empty() && arguments.size() == 1) {
      Values out;
      for (const Value& value: fold(arguments[0]))
        out.push_back(Value::of(joined(value, as_string(object[0]))));
      return out;
    }
    return method(object, callee.text, arguments);
  }
  // dict(__class__=1): its keys are what it gives away.
  if (callee.kind == Kind::name && callee.text == "dict") {
    std::vector<std::string> keys;
    for (const NodeId argument: arguments)
      if (tree_.at(argument).kind == Kind::keyword) keys.push_back(tree_.at(argument).text);
    return {Value::of(std::move(keys))};
  }
  return {};
}

Values Folder::of_subscript(const Node& node) {
  const Values object = fold(node.children[0]);
  const Node& index = tree_.at(node.children[1]);
  Values out;
  for (const Value& value: object) {
    if (index.kind == Kind::slice) {
      const auto bound = [&](std::size_t i) -> Values {
        return index.children[i] == 0 ? Values{} : fold(index.children[i]);
      };
      const Values step = bound(2);
      std::int64_t stride = step.empty() ? 1 : step[0].number;
      const std::vector<std::string> items =
          value.type == Value::Type::list ? value.items : letters(value.text);
      const auto size = static_cast<std::int64_t>(items.size());
      const auto place = [&](const Values& at, std::int64_t otherwise) {
        if (at.empty()) return otherwise;
        const std::int64_t raw = at[0].number < 0 ? at[0].number + size : at[0].number;
        return std::clamp<std::int64_t>(raw, stride < 0 ? -1 : 0, stride < 0 ? size - 1 : size);
      };
      if (stride == 0) continue;
      stride = std::clamp<std::int64_t>(stride, -size - 1, size + 1);
      const std::int64_t begin = place(bound(0), stride < 0 ? size - 1 : 0);
      const std::int64_t end = place(bound(1), stride < 0 ? -1 : size);
      Value cut = value;
      cut.text.clear();
      cut.items.clear();
      for (std::int64_t i = begin; stride < 0 ? i > end : i < end; i += stride) {
        const std::string& item = items[static_cast<std::size_t>(i)];
        if (value.type == Value::Type::list)
          cut.items.push_back(item);
        else
          cut.text += item;
      }
      out.push_back(std::move(cut));
      continue;
    }
    for (const Value& at: fold(node.children[1])) {
      if (at.type != Value::Type::number) continue;
      const std::vector<std::string> items =
          value.type == Value::Type::list ? value.items : letters(value.text);
      const auto size = static_cast<std::int64_t>(items.size());
      const std::int64_t place = at.number < 0 ? at.number + size : at.number;
      if (place >= 0 && place < size && out.size() < k_alternatives)
        out.push_back(Value::of(items[static_cast<std::size_t>(place)]));
    }
  }
  return out;
}

Values Folder::compute(NodeId id) {
  const Node& node = tree_.at(id);
  switch (node.kind) {
  case Kind::string:
    return {Value::of(node.text)};
  case Kind::data:
    return {Value::of(node.text)};
  case Kind::body: {
    // A block set of nothing but constants.
    std::string text;
    for (const NodeId child: node.children) {
      const Node& statement = tree_.at(child);
      if (statement.kind != Kind::data && statement.kind != Kind::output) return {};
      const Values part = fold(statement.kind == Kind::data ? child : statement.children[0]);
      if (part.empty()) return {};
      text += as_string(part[0]);
      if (text.size() > k_text) return {};
    }
    return {Value::of(std::move(text))};
  }
  case Kind::number: {
    std::string digits;
    for (const char c: node.text)
      if (c != '_') digits += c;
    std::int64_t value = 0;
    const bool hex = digits.starts_with("0x") || digits.starts_with("0X");
    const auto result = std::from_chars(digits.data() + (hex ? 2 : 0),
                                        digits.data() + digits.size(), value, hex ? 16 : 10);
    if (result.ec == std::errc::result_out_of_range) value = INT64_MAX;
    return {Value::of(value)};
  }
  case Kind::unary: {
    if (node.text != "-") return {};
    Values out = fold(node.children[0]);
    for (Value& value: out)
      value.number = value.number == INT64_MIN ? INT64_MAX : -value.number;
    return out;
  }
  case Kind::list: {
    std::vector<std::string> items;
    for (const NodeId child: node.children) {
      const Values item = fold(child);
      if (item.empty()) return {};
      // A number in a list is a letter for "%c".
      items.push_back(as_string(item[0]));
      if (items.size() >= k_items) break;
    }
    return {Value::of(std::move(items))};
  }
  case Kind::dict: {
    std::vector<std::string> keys;
    for (std::size_t i = 0; i < node.children.size() && keys.size() < k_items; i += 2) {
      const Values key = fold(node.children[i]);
      if (key.empty()) return {};
      keys.push_back(as_string(key[0]));
    }
    return {Value::of(std::move(keys))};
  }
  case Kind::name:
    return of_name(node.text);
  case Kind::attribute: {
    const std::string key = key_of(id);
    return key.empty() ? Values{} : of_name(key);
  }
  case Kind::binary:
    return of_binary(node);
  case Kind::condition: {
    Values out = fold(node.children[0]);
    if (node.children[2] != 0) {
      const Values& other = fold(node.children[2]);
      out.insert(out.end(), other.begin(), other.end());
    }
    return out;
  }
  case Kind::filter:
    return of_filter(node);
  case Kind::call:
    return of_call(node);
  case Kind::subscript:
    return of_subscript(node);
  default:
    return {};
  }
}

} // namespace hubgate::jinja
