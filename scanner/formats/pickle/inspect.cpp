// Looking at symbolic values: for the judge, for evidence, and for other formats through View.
#include "scanner/formats/pickle/literals.hpp"
#include "scanner/formats/pickle/machine.hpp"
#include "scanner/formats/pickle/walk.hpp"

#include <bit>
#include <charconv>
#include <cstdlib>

namespace hubgate::pickle {
namespace {

std::string_view line_at(Bytes bytes) {
  const std::string_view all = as_text(bytes).substr(1);
  return all.substr(0, all.find('\n'));
}

} // namespace

Kind Machine::kind_of(Word w) const {
  switch (tag_of(w)) {
  case Tag::unknown:
    return Kind::unknown;
  case Tag::none:
    return Kind::none;
  case Tag::yes:
  case Tag::no:
    return Kind::boolean;
  case Tag::integer:
    return Kind::integer;
  case Tag::floating:
    return Kind::floating;
  case Tag::text:
  case Tag::kept_text:
    return Kind::text;
  case Tag::bytes:
    return Kind::bytes;
  case Tag::buffer:
    return Kind::buffer;
  case Tag::tuple:
    return Kind::tuple;
  case Tag::list:
    return Kind::list;
  case Tag::dict:
    return Kind::dict;
  case Tag::set:
    return Kind::set;
  case Tag::global:
    return Kind::global;
  case Tag::object:
    return Kind::object;
  case Tag::persistent:
    return Kind::persistent;
  }
  return Kind::unknown;
}

std::optional<std::int64_t> Machine::integer_of(Word w) const {
  if (tag_of(w) == Tag::yes) return 1;
  if (tag_of(w) == Tag::no) return 0;
  if (tag_of(w) != Tag::integer) return std::nullopt;
  const Bytes bytes = read(payload_of(w), 64);
  if (bytes.size() < 2) return std::nullopt;
  const auto extended = [](const std::uint8_t* p, std::size_t n) {
    std::uint64_t value = little(p, n);
    if (n > 0 && n < 8 && (p[n - 1] & 0x80) != 0) value |= ~std::uint64_t{0} << (8 * n);
    return static_cast<std::int64_t>(value);
  };
  switch (bytes[0]) {
  case 'K':
    return bytes[1];
  case 'M':
    if (bytes.size() < 3) return std::nullopt;
    return static_cast<std::int64_t>(little(bytes.data() + 1, 2));
  case 'J':
    if (bytes.size() < 5) return std::nullopt;
    return extended(bytes.data() + 1, 4);
  case 0x8a:
  case 0x8b: {
    const std::size_t field = bytes[0] == 0x8a ? 1 : 4;
    if (bytes.size() < 1 + field) return std::nullopt;
    const std::uint64_t n = little(bytes.data() + 1, field);
    if (n > 8 || bytes.size() < 1 + field + n) return std::nullopt;
    return extended(bytes.data() + 1 + field, static_cast<std::size_t>(n));
  }
  case 'I':
  case 'L': {
    std::string line(line_at(bytes));
    line = line.substr(0, line.find('\0'));
    if (line.find_first_of("bB_") != std::string::npos || line.empty()) return std::nullopt;
    errno = 0;
    const long long value = std::strtoll(line.c_str(), nullptr, 0);
    if (errno != 0) return std::nullopt;
    return value;
  }
  default:
    return std::nullopt;
  }
}

std::optional<double> Machine::floating_of(Word w) const {
  if (tag_of(w) != Tag::floating) return std::nullopt;
  const Bytes bytes = read(payload_of(w), 64);
  if (bytes.size() < 2) return std::nullopt;
  if (bytes[0] == 'G' && bytes.size() >= 9) {
    std::uint64_t raw = 0;
    for (std::size_t i = 0; i < 8; ++i)
      raw = (raw << 8) | bytes[1 + i];
    return std::bit_cast<double>(raw);
  }
  if (bytes[0] == 'F') return std::strtod(std::string(line_at(bytes)).c_str(), nullptr);
  return std::nullopt;
}

std::optional<std::string> Machine::text_of(Word w, std::size_t max) const {
  const Tag tag = tag_of(w);
  if (tag == Tag::kept_text) {
    const auto at = static_cast<std::size_t>(payload_of(w));
    const std::size_t n = static_cast<std::uint8_t>(texts_[at]);
    if (n > max) return std::nullopt;
    return texts_.substr(at + 1, n);
  }
  if (tag != Tag::text && tag != Tag::bytes) return std::nullopt;
  const std::uint64_t offset = payload_of(w);
  const std::uint64_t n = size_of(w);
  if (n > max) return std::nullopt;
  const Bytes bytes = read(offset, static_cast<std::size_t>(n) + 16);
  if (bytes.empty()) return std::nullopt;
  switch (k_opcodes[bytes[0]].arg) {
  case Arg::line: {
    if (bytes[0] == 'V') return unescape_raw_unicode(line_at(bytes));
    if (bytes[0] == 'P') return std::string(line_at(bytes));
    std::string_view line = line_at(bytes);
    while (!line.empty() && (line.back() == '\r' || line.back() == ' '))
      line.remove_suffix(1);
    if (line.size() < 2) return std::nullopt;
    return unescape_string(line.substr(1, line.size() - 2));
  }
  case Arg::data1:
  case Arg::data4:
  case Arg::data4s:
  case Arg::data8: {
    const Arg arg = k_opcodes[bytes[0]].arg;
    const std::size_t header = arg == Arg::data1 ? 2 : arg == Arg::data8 ? 9 : 5;
    if (bytes.size() < header + n) return std::nullopt;
    return std::string(as_text(bytes.subspan(header, static_cast<std::size_t>(n))));
  }
  default:
    return std::nullopt;
  }
}

std::uint64_t Machine::size_of(Word w) const {
  switch (tag_of(w)) {
  case Tag::kept_text:
    return static_cast<std::uint8_t>(texts_[payload_of(w)]);
  case Tag::text:
  case Tag::bytes: {
    const std::uint64_t offset = payload_of(w);
    const Bytes head = read(offset, 9);
    if (head.empty()) return 0;
    const Arg arg = k_opcodes[head[0]].arg;
    if (arg == Arg::line) {
      // Of the line as it stands: an upper bound of the text.
      std::uint64_t n = 0;
      for (;;) {
        const Bytes piece = read(offset + 1 + n, 4096);
        if (piece.empty()) return n;
        const auto newline = std::find(piece.begin(), piece.end(), std::uint8_t{'\n'});
        n += static_cast<std::uint64_t>(newline - piece.begin());
        if (newline != piece.end()) return n;
      }
    }
    const std::size_t field = arg == Arg::data1 ? 1 : arg == Arg::data8 ? 8 : 4;
    return head.size() < 1 + field ? 0 : little(head.data() + 1, field);
  }
  case Tag::tuple:
  case Tag::list:
  case Tag::dict:
  case Tag::set:
  case Tag::object:
    return heap_.alive(payload_of(w)) ? Heap::count(*heap_.at(payload_of(w))) : 0;
  default:
    return 0;
  }
}

std::size_t Machine::kept_of(Word w) const {
  const std::uint64_t position = payload_of(w);
  switch (tag_of(w)) {
  case Tag::tuple:
    return heap_.alive(position) ? std::min(Heap::count(*heap_.at(position)), Heap::k_kept) : 0;
  case Tag::list:
  case Tag::dict:
  case Tag::set:
  case Tag::object: {
    if (!heap_.alive(position)) return 0;
    const Word items = *heap_.at(position + 1);
    return heap_.alive(Heap::items_block(items)) ? Heap::items_kept(items) : 0;
  }
  default:
    return 0;
  }
}

Word Machine::item_of(Word w, std::size_t i) const {
  if (i >= kept_of(w)) return 0;
  const std::uint64_t position = payload_of(w);
  if (tag_of(w) == Tag::tuple) return heap_.at(position)[1 + i];
  return heap_.at(Heap::items_block(*heap_.at(position + 1)))[i];
}

Word Machine::callee_of(Word w) const {
  if (tag_of(w) != Tag::object) return 0;
  if (aux_of(w) != k_max_aux) return make_word(Tag::global, 0, aux_of(w));
  return heap_.alive(payload_of(w)) ? heap_.at(payload_of(w))[2] : 0;
}
Word Machine::args_of(Word w) const {
  if (!heap_.alive(payload_of(w))) return 0;
  if (tag_of(w) == Tag::object) return heap_.at(payload_of(w))[3];
  if (tag_of(w) == Tag::persistent) return heap_.at(payload_of(w))[1];
  return 0;
}
Word Machine::state_of(Word w) const {
  return tag_of(w) == Tag::object && heap_.alive(payload_of(w)) ? heap_.at(payload_of(w))[4] : 0;
}

std::string Machine::name_of(Word w) const {
  if (tag_of(w) == Tag::object) w = callee_of(w);
  if (tag_of(w) != Tag::global) return "";
  return name_at(w).module + "." + name_at(w).name;
}

void Machine::render_into(std::string& out, Word w, std::size_t max, unsigned depth) const {
  constexpr unsigned k_deepest = 6;
  if (out.size() >= max || depth > k_deepest) {
    if (!out.ends_with("…")) out += "…";
    return;
  }
  const auto items = [&](std::size_t from, std::size_t step) {
    const std::size_t kept = kept_of(w);
    for (std::size_t i = from; i < kept; i += step) {
      if (i != from) out += ", ";
      if (out.size() >= max) break;
      render_into(out, item_of(w, i), max, depth + 1);
      if (step == 2) {
        out += ": ";
        render_into(out, item_of(w, i + 1), max, depth + 1);
      }
    }
    if (kept / step < size_of(w)) out += kept == 0 ? "…" : ", …";
  };
  switch (tag_of(w)) {
  case Tag::unknown:
    out += "?";
    break;
  case Tag::none:
    out += "None";
    break;
  case Tag::yes:
    out += "True";
    break;
  case Tag::no:
    out += "False";
    break;
  case Tag::buffer:
    out += "<buffer>";
    break;
  case Tag::integer:
    if (const auto value = integer_of(w))
      out += std::to_string(*value);
    else
      out += "<int>";
    break;
  case Tag::floating:
    if (const auto value = floating_of(w)) {
      std::array<char, 32> buffer{};
      std::snprintf(buffer.data(), buffer.size(), "%g", *value);
      out += buffer.data();
    }
    break;
  case Tag::kept_text:
  case Tag::text:
  case Tag::bytes: {
    constexpr std::size_t k_shown = 2048;
    std::optional<std::string> text = text_of(w, k_shown);
    bool cut = false;
    if (!text) {
      // The beginning says enough: of a line as it stands, else of the data.
      cut = true;
      const Bytes head = read(payload_of(w), 300);
      text = head.size() < 10 ? "" : std::string(as_text(head.subspan(9)));
      if (!head.empty() && k_opcodes[head[0]].arg != Arg::data8)
        text = std::string(as_text(head.subspan(
            std::min<std::size_t>(head.size(), k_opcodes[head[0]].arg == Arg::line ? 2 : 5))));
    }
    if (tag_of(w) == Tag::bytes) out += 'b';
    out += '\'';
    for (const char c: *text) {
      if (out.size() >= max) {
        cut = true;
        break;
      }
      if (c == '\'' || c == '\\') out += '\\';
      out += c;
    }
    out += cut ? "…'" : "'";
    break;
  }
  case Tag::tuple:
    out += '(';
    items(0, 1);
    out += size_of(w) == 1 ? ",)" : ")";
    break;
  case Tag::list:
    out += '[';
    items(0, 1);
    out += ']';
    break;
  case Tag::set:
    out += '{';
    items(0, 1);
    out += '}';
    break;
  case Tag::dict:
    out += '{';
    items(0, 2);
    out += '}';
    break;
  case Tag::global:
    out += name_of(w);
    break;
  case Tag::object: {
    const Word callee = callee_of(w);
    render_into(out, callee, max, depth + 1);
    const Word args = args_of(w);
    if (tag_of(args) == Tag::tuple) {
      render_into(out, args, max, depth + 1);
      // f(x), not f(x,)
      if (out.ends_with(",)")) out.replace(out.size() - 2, 2, ")");
    } else {
      out += tag_of(args) == Tag::unknown ? "(…" : "(*";
      if (tag_of(args) != Tag::unknown) render_into(out, args, max, depth + 1);
      out += ')';
    }
    break;
  }
  case Tag::persistent:
    out += "persistent_load(";
    render_into(out, args_of(w), max, depth + 1);
    out += ')';
    break;
  }
}

std::string Machine::render(Word w, std::size_t max) const {
  std::string out;
  render_into(out, w, max, 0);
  return out;
}

Kind View::kind() const {
  return machine_ == nullptr ? Kind::unknown : machine_->kind_of(word_);
}
std::optional<std::int64_t> View::integer() const {
  return machine_ == nullptr ? std::nullopt : machine_->integer_of(word_);
}
std::optional<std::string> View::text(std::size_t max) const {
  return machine_ == nullptr ? std::nullopt : machine_->text_of(word_, max);
}
std::uint64_t View::size() const {
  return machine_ == nullptr ? 0 : machine_->size_of(word_);
}
std::size_t View::kept() const {
  return machine_ == nullptr ? 0 : machine_->kept_of(word_);
}
View View::item(std::size_t i) const {
  return machine_ == nullptr ? View() : View(*machine_, machine_->item_of(word_, i));
}
std::string View::name() const {
  return machine_ == nullptr ? "" : machine_->name_of(word_);
}
View View::args() const {
  return machine_ == nullptr ? View() : View(*machine_, machine_->args_of(word_));
}
View View::state() const {
  return machine_ == nullptr ? View() : View(*machine_, machine_->state_of(word_));
}
View View::id() const {
  return kind() == Kind::persistent ? args() : View();
}
View View::get(std::string_view key) const {
  if (machine_ == nullptr) return {};
  Word dict = word_;
  if (tag_of(dict) == Tag::object && tag_of(machine_->state_of(dict)) == Tag::dict)
    dict = machine_->state_of(dict);
  const std::size_t kept = machine_->kept_of(dict);
  if (tag_of(dict) != Tag::dict && tag_of(dict) != Tag::object) return {};
  // The last of several equal keys wins.
  for (std::size_t i = kept; i >= 2; i -= 2)
    if (machine_->text_of(machine_->item_of(dict, i - 2), key.size()) == key)
      return {*machine_, machine_->item_of(dict, i - 1)};
  return {};
}
std::string View::render(std::size_t max) const {
  return machine_ == nullptr ? "?" : machine_->render(word_, max);
}

} // namespace hubgate::pickle
