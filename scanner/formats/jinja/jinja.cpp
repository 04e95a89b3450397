// Templates that lie as files in a repository: chat_template.jinja, additional_chat_templates/*.
// The judgement is scanner/code/jinja; here a text is found to be one.
#include "scanner/code/jinja/jinja.hpp"
#include "scanner/code/jinja/tree.hpp"

#include <algorithm>
#include <array>
#include <string>

namespace hubgate {
namespace {

// Code about templates is named after them too: chat_template_utils.py is none.
constexpr std::string_view k_condition =
    "*.jinja|*.jinja2|*.j2|*.template|*.tmpl|*chat_template|*chat_template*.txt|"
    "*chat_template*.json|*chat_template*.tpl";

bool has_tag(std::string_view text) {
  return text.find("{%") != std::string_view::npos || text.find("{{") != std::string_view::npos;
}

Claim probe(const Probe& probe) {
  const std::string_view head = as_text(probe.head);
  if (head.find('\0') != std::string_view::npos) return Claim::no;
  return has_tag(head) ? Claim::maybe : Claim::no;
}

// Nothing but one expression: {{ … }}.
bool starts_with_tag(const jinja::Tree& tree) {
  const auto& children = tree.at(tree.root).children;
  return !children.empty() && tree.at(children[0]).kind == jinja::Kind::output;
}

// A tag of the language itself: other texts have braces too. One that is whole, or that speaks of a
// conversation, whatever else is broken.
bool is_template(const jinja::Tree& tree) {
  const bool statement =
      std::any_of(tree.nodes.begin(), tree.nodes.end(), [&](const jinja::Node& node) {
        using jinja::Kind;
        return node.kind == Kind::if_ || node.kind == Kind::for_ || node.kind == Kind::set ||
               node.kind == Kind::macro || node.kind == Kind::reach;
      });
  const bool whole = tree.problem.empty() && !tree.too_large;
  return (statement && whole) || jinja::talks(tree) ||
         (whole && tree.nodes.size() > 1 && starts_with_tag(tree));
}

Reading scan(Source& source, Session& session) {
  std::string text;
  while (text.size() <= jinja::k_max_template) {
    const Bytes piece = source.view(text.size(), std::size_t{64} << 10);
    if (piece.empty()) break;
    text += as_text(piece);
  }
  if (text.find('\0') != std::string::npos) return Reading::none;
  if (text.size() > jinja::k_max_template) {
    session.gap(Reason::budget, Reach::load, 0, "a template of more than 1 MiB",
                "*.jinja|*chat_template*.jinja");
    return Reading::valid;
  }
  const jinja::Tree tree = jinja::parse(text);
  if (!is_template(tree)) return Reading::none;
  jinja::analyse_template(session, text, {.condition = k_condition, .chat = jinja::talks(tree)});
  session.release(text.size() - std::min<std::uint64_t>(text.size(), k_held_tail));
  return Reading::valid;
}

} // namespace

extern const Format format_jinja;
const Format format_jinja{.name = "jinja",
                          .family = "text",
                          .probe = probe,
                          .scan = scan,
                          .rules = jinja::template_rules(),
                          .data_version = "jinja 3",
                          .weak = true};

} // namespace hubgate
