// What the evaluation shows to who asks (Session::showing): calls as they were resolved.
#include "scanner/code/python/evaluator.hpp"

#include <algorithm>

namespace hubgate::python {
namespace {

constexpr std::size_t k_text_shown = 200;
constexpr std::size_t k_items_shown = 12;
constexpr unsigned k_deepest = 3;

// Unknown parts are written as …
std::string quoted(std::string_view text, bool bytes) {
  std::string out = bytes ? "b'" : "'";
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (out.size() > k_text_shown) {
      out += "…";
      break;
    }
    if (text[i] == k_hole) {
      out += "…";
      i = std::min(text.find(';', i), text.size());
    } else if (text[i] == '\n') {
      out += "\\n";
    } else {
      if (text[i] == '\'' || text[i] == '\\') out += '\\';
      out += text[i];
    }
  }
  return out + "'";
}

} // namespace

std::string Evaluator::shown(const Value& value, unsigned depth) const {
  switch (value.kind) {
  case Kind::none:
    return "None";
  case Kind::integer:
    return std::to_string(value.number);
  case Kind::text:
  case Kind::bytes:
    return quoted(raw(value), value.kind == Kind::bytes);
  case Kind::name:
    return raw(value).substr(0, k_text_shown);
  case Kind::handle:
    return "open(" + quoted(raw(value), false) + ")";
  case Kind::list: {
    const auto& items = lists_[value.ref];
    std::string out = "[";
    for (std::size_t i = 0; i < std::min(items.size(), k_items_shown) && depth < k_deepest; ++i)
      out += (i == 0 ? "" : ", ") + shown(items[i], depth + 1);
    return out + (items.size() > k_items_shown || depth >= k_deepest ? "…]" : "]");
  }
  default:
    return "…";
  }
}

void Evaluator::show_call(const std::string& path, const Arguments& arguments, NodeId at) {
  std::string line = path + "(";
  const auto add = [&](const std::string& text) {
    if (line.back() != '(') line += ", ";
    line += text;
  };
  for (const Value& value: arguments.positional)
    add(shown(value, 0));
  for (const auto& [name, value]: arguments.named)
    add(std::string(name) + "=" + shown(value, 0));
  if (arguments.open) add("…");
  line += ")";
  // Loops and functions come here more than once.
  if (!shown_calls_.emplace(tree_[at].begin, line).second) return;
  session_.show("call", offset_of(at),
                "line " + std::to_string(line_number(tree_[at].begin)) + ": " + line);
}

} // namespace hubgate::python
