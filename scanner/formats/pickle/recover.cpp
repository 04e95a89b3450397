// Code that a pickle would run: the call is written out as Python, whole, and read as Python is.
#include "scanner/code/python/analyse.hpp"
#include "scanner/formats/pickle/machine.hpp"

#include <array>

namespace hubgate::pickle {
namespace {

constexpr std::size_t k_max_source = std::size_t{1} << 20;
constexpr unsigned k_max_depth = 24;
/// Calls of one pickle that are followed; their findings convince by then.
constexpr std::uint32_t k_max_recovered = 64;

void quote(std::string& out, std::string_view text, bool bytes) {
  static constexpr std::string_view k_digits = "0123456789abcdef";
  out += bytes ? "b'" : "'";
  for (const char c: text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\'' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte >= 0x20 && (byte < 0x7f || !bytes)) {
      out += c;
    } else {
      out += "\\x";
      out += k_digits[byte >> 4];
      out += k_digits[byte & 15];
    }
  }
  out += '\'';
}

} // namespace

void Machine::source_of(std::string& out, Word w, unsigned depth) const {
  if (depth > k_max_depth || out.size() > k_max_source) {
    out += "None";
    return;
  }
  const auto items = [&](Word sequence, std::string_view open, std::string_view close) {
    out += open;
    for (std::size_t i = 0; i < kept_of(sequence); ++i) {
      source_of(out, item_of(sequence, i), depth + 1);
      out += ", ";
    }
    out += close;
  };
  switch (tag_of(w)) {
  case Tag::global:
    out += name_at(w).module + "." + name_at(w).name;
    return;
  case Tag::object:
    source_of(out, callee_of(w), depth + 1);
    items(args_of(w), "(", ")");
    return;
  case Tag::tuple:
    items(w, "(", ")");
    return;
  case Tag::list:
    items(w, "[", "]");
    return;
  default:
    break;
  }
  if (const auto text = text_of(w, k_max_source)) {
    quote(out, *text, kind_of(w) == Kind::bytes);
  } else if (const auto number = integer_of(w)) {
    out += std::to_string(*number);
  } else {
    out += "None";
  }
}

void Machine::recover_code(Word object, At at) {
  if (quiet() || recovered_++ >= k_max_recovered) return;
  std::string source;
  source_of(source, object, 0);
  // Names that no Python spells (the stream may hold anything) would hide the rest.
  python::Unit unit;
  unit.kind = python::UnitKind::weights;
  unit.offset = at.offset;
  unit.verbatim = false;
  unit.title = "decompiled call";
  python::analyse_python(source, unit, session_);
  touched_ = true;
}

} // namespace hubgate::pickle
