// A template's tree, shown node by node to who asks.
#include "scanner/code/jinja/listing.hpp"

#include <array>

namespace hubgate::jinja {
namespace {

constexpr std::size_t k_text_shown = 200;
constexpr std::size_t k_most_indent = 40;

std::string_view word_of(Kind kind) {
  constexpr std::array<std::string_view, 34> k_words{
      "body",   "data", "output",    "if",        "branch",  "for",        "set",
      "macro",  "call", "filter",    "block",     "with",    "generation", "reach",
      "do",     "tag",  "broken",    "nothing",   "name",    "string",     "number",
      "list",   "dict", "attribute", "subscript", "slice",   "call",       "keyword",
      "filter", "test", "unary",     "binary",    "compare", "condition"};
  const auto index = static_cast<std::size_t>(kind);
  return index < k_words.size() ? k_words[index] : std::string_view();
}

std::string quoted(std::string_view text) {
  std::string out = "'";
  for (const char c: text.substr(0, k_text_shown)) {
    if (c == '\n')
      out += "\\n";
    else
      out += c;
  }
  return out + (text.size() > k_text_shown ? "…'" : "'");
}

} // namespace

void show_tree(Session& session, const Tree& tree, std::uint64_t offset) {
  struct Place {
    NodeId id;
    std::size_t depth;
  };
  if (tree.nodes.empty()) return;
  std::vector<Place> open{{tree.root, 0}};
  // A tree: every node is shown once. An arena that names one twice ends here all the same.
  for (std::size_t shown = 0; !open.empty() && shown < tree.nodes.size(); ++shown) {
    const Place place = open.back();
    open.pop_back();
    const Node& node = tree.at(place.id);
    std::string line(std::min(place.depth, k_most_indent) * 2, ' ');
    line += word_of(node.kind);
    if (node.kind == Kind::string || node.kind == Kind::data || node.kind == Kind::broken)
      line += ' ' + quoted(node.text);
    else if (!node.text.empty())
      line += ' ' + node.text;
    if (node.kind != Kind::nothing) session.show("template", offset + node.offset, line);
    for (std::size_t i = node.children.size(); i-- > 0;)
      open.push_back({node.children[i], place.depth + 1});
  }
}

} // namespace hubgate::jinja
