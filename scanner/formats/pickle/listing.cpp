// The decompiled program.
#include "scanner/formats/pickle/listing.hpp"

#include "scanner/formats/pickle/machine.hpp"

namespace hubgate::pickle {
namespace {

constexpr std::size_t k_max_line = 900;
constexpr unsigned k_max_depth = 12;
/// Longer texts are shown by their beginning.
constexpr std::size_t k_max_text = std::size_t{64} << 10;
constexpr std::size_t k_shown_text = 600;

} // namespace

void Program::on_import(std::uint32_t index, const std::string& module, const std::string& name,
                        std::uint64_t offset) {
  const std::string first = name.substr(0, name.find('.'));
  std::string line = "from " + module + " import " + first;
  const auto [known, added] = imports_.try_emplace(line, first);
  std::string& alias = known->second;
  if (added) {
    for (unsigned n = 1; !taken_.insert(alias).second; ++n)
      alias = first + "_" + std::to_string(n);
    if (alias != first) line += " as " + alias;
    session_.show("code", offset, line);
  }
  names_[index] = alias + name.substr(first.size());
}

void Program::on_call(Word object, Word kwargs, bool makes, std::uint64_t offset) {
  const Word callee = machine_.callee_of(object);
  const Word args = machine_.args_of(object);
  const auto number = static_cast<std::uint32_t>(variables_.size());
  std::string line = "_var" + std::to_string(number) + " = " + text(callee);
  std::string given = makes ? text(callee) : "";
  if (tag_of(args) == Tag::tuple) {
    std::string items;
    append_items(items, args, 0, 0);
    if (!given.empty() && !items.empty()) given += ", ";
    given += items;
  } else {
    given += (given.empty() ? "*" : ", *") + text(args);
  }
  if (tag_of(kwargs) == Tag::dict && machine_.size_of(kwargs) != 0)
    given += (given.empty() ? "**" : ", **") + text(kwargs);
  line += (makes ? ".__new__(" : "(") + given + ")";
  variables_.emplace(payload_of(object), number);
  session_.show("code", offset, line);
}

void Program::on_build(Word object, Word state, std::uint64_t offset) {
  session_.show("code", offset, text(object) + ".__setstate__(" + text(state) + ")");
}

void Program::on_items(Word object, const Word* items, std::size_t n, bool mapping,
                       std::uint64_t offset) {
  if (n == 0) return;
  std::string line = text(object);
  line += mapping ? ".update({" : ".extend([";
  for (std::size_t i = 0; i < n && line.size() < k_max_line; ++i) {
    if (i != 0) line += mapping && i % 2 != 0 ? ": " : ", ";
    append(line, items[i], 0);
  }
  line += line.size() < k_max_line ? "" : "…";
  line += mapping ? "})" : "])";
  session_.show("code", offset, line);
}

void Program::on_stop(Word result, std::uint64_t offset) {
  session_.show("code", offset, "result = " + text(result));
}

std::string Program::text(Word word) const {
  std::string out;
  append(out, word, 0);
  return out;
}

void Program::append_items(std::string& out, Word word, std::size_t from, unsigned depth) const {
  if (machine_.aged(word)) {
    out += "…";
    return;
  }
  const std::size_t kept = machine_.kept_of(word);
  const bool pairs = tag_of(word) == Tag::dict;
  for (std::size_t i = from; i < kept; ++i) {
    if (i != from) out += pairs && i % 2 != 0 ? ": " : ", ";
    if (out.size() > k_max_line) {
      out += "…";
      return;
    }
    append(out, machine_.item_of(word, i), depth + 1);
  }
  if (kept / (pairs ? 2 : 1) < machine_.size_of(word)) out += kept == 0 ? "…" : ", …";
}

void Program::append(std::string& out, Word word, unsigned depth) const {
  if (depth > k_max_depth || out.size() > k_max_line) {
    out += "…";
    return;
  }
  switch (tag_of(word)) {
  case Tag::object:
    if (const auto variable = variables_.find(payload_of(word)); variable != variables_.end())
      out += "_var" + std::to_string(variable->second);
    else
      out += machine_.render(word, 200);
    return;
  case Tag::global:
    if (const auto name = names_.find(aux_of(word)); name != names_.end())
      out += name->second;
    else
      out += machine_.name_of(word);
    return;
  case Tag::tuple:
    out += '(';
    append_items(out, word, 0, depth);
    out += machine_.size_of(word) == 1 ? ",)" : ")";
    return;
  case Tag::list:
    out += '[';
    append_items(out, word, 0, depth);
    out += ']';
    return;
  case Tag::dict:
    out += '{';
    append_items(out, word, 0, depth);
    out += '}';
    return;
  case Tag::set:
    out += machine_.size_of(word) == 0 ? "set(" : "{";
    append_items(out, word, 0, depth);
    out += machine_.size_of(word) == 0 ? ")" : "}";
    return;
  case Tag::persistent:
    out += "persistent_load(";
    append(out, machine_.args_of(word), depth + 1);
    out += ')';
    return;
  case Tag::text:
  case Tag::kept_text:
  case Tag::bytes:
    if (auto text = machine_.text_of(word, k_max_text)) {
      const bool cut = text->size() > k_shown_text;
      if (cut) text->resize(k_shown_text);
      out += python_literal(*text, tag_of(word) == Tag::bytes);
      if (cut) out += "…";
      return;
    }
    break;
  default:
    break;
  }
  out += machine_.render(word, 200);
}

} // namespace hubgate::pickle
