#include "scanner/formats/xml/markup.hpp"

#include <algorithm>

namespace hubgate::xml {

namespace {

constexpr std::size_t k_step = std::size_t{64} << 10;

bool is_space(int c) {
  return c == ' ' || c == '\n' || c == '\r' || c == '\t' || c == '\f';
}

bool is_name_start(int c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':' || c >= 0x80;
}

bool is_name(int c) {
  return is_name_start(c) || (c >= '0' && c <= '9') || c == '-' || c == '.';
}

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

bool is_foreign(char32_t c) {
  return c < 0x20 && c != '\t' && c != '\n' && c != '\r' && c != '\f' && c != '\v' && c != 0x1a &&
         c != 0x1b && c != '\b';
}

void encode(char32_t c, std::string& out) {
  const auto byte = [&out](char32_t value) { out += static_cast<char>(value); };
  if (c < 0x80) {
    byte(c);
  } else if (c < 0x800) {
    byte(0xc0 | (c >> 6));
    byte(0x80 | (c & 0x3f));
  } else if (c < 0x10000) {
    byte(0xe0 | (c >> 12));
    byte(0x80 | ((c >> 6) & 0x3f));
    byte(0x80 | (c & 0x3f));
  } else {
    byte(0xf0 | (c >> 18));
    byte(0x80 | ((c >> 12) & 0x3f));
    byte(0x80 | ((c >> 6) & 0x3f));
    byte(0x80 | (c & 0x3f));
  }
}

} // namespace

MarkupReader::MarkupReader(Source& source, Dialect dialect) : source_(source), dialect_(dialect) {
  const Bytes head = source.view(0, 8);
  using namespace std::string_view_literals;
  if (starts_with(head, "\xef\xbb\xbf")) {
    source_at_ = 3;
  } else if (starts_with(head, "\xff\xfe\0\0"sv) || starts_with(head, "<\0\0\0"sv)) {
    encoding_ = Encoding::utf32le;
  } else if (starts_with(head, "\0\0\xfe\xff"sv) || starts_with(head, "\0\0\0<"sv)) {
    encoding_ = Encoding::utf32be;
  } else if (starts_with(head, "\xff\xfe"sv) || starts_with(head, "<\0"sv)) {
    encoding_ = Encoding::utf16le;
  } else if (starts_with(head, "\xfe\xff"sv) || starts_with(head, "\0<"sv)) {
    encoding_ = Encoding::utf16be;
  }
}

std::string_view MarkupReader::local_name() const {
  const std::size_t colon = name_.rfind(':');
  return colon == std::string::npos ? std::string_view(name_)
                                    : std::string_view(name_).substr(colon + 1);
}

const std::string* MarkupReader::attribute(std::string_view name) const {
  for (const Attribute& item: attributes_)
    if (item.name == name) return &item.value;
  return nullptr;
}

void MarkupReader::append(char32_t point) {
  if (point == 0xfeff) return;
  if (is_foreign(point)) foreign_ = true;
  encode(point, window_);
}

void MarkupReader::decode(Bytes bytes) {
  if (encoding_ == Encoding::bytes) {
    for (const std::uint8_t c: bytes)
      if (c < 0x20 && is_foreign(c)) foreign_ = true;
    window_ += as_text(bytes);
    return;
  }
  const bool wide = encoding_ == Encoding::utf32le || encoding_ == Encoding::utf32be;
  const bool little = encoding_ == Encoding::utf16le || encoding_ == Encoding::utf32le;
  const std::size_t width = wide ? 4 : 2;
  carry_ += as_text(bytes);
  std::size_t at = 0;
  const auto unit = [&](std::size_t from) {
    char32_t value = 0;
    for (std::size_t i = 0; i < width; ++i)
      value =
          (value << 8) | static_cast<unsigned char>(carry_[from + (little ? width - 1 - i : i)]);
    return value;
  };
  for (; carry_.size() - at >= width; at += width) {
    char32_t point = unit(at);
    if (!wide && point >= 0xd800 && point < 0xdc00) {
      if (carry_.size() - at < 2 * width) break;
      const char32_t low = unit(at + width);
      if (low >= 0xdc00 && low < 0xe000) {
        point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
        at += width;
      }
    }
    if (point > 0x10ffff) point = 0;
    append(point);
  }
  carry_.erase(0, at);
}

// Appends at least one character to the window, or returns false: nothing more will come.
bool MarkupReader::fill() {
  if (ended_ || foreign_) return false;
  if (at_ >= k_step) {
    window_.erase(0, at_);
    window_begin_ += at_;
    at_ = 0;
  }
  if (at_ == window_.size()) {
    window_.clear();
    at_ = 0;
    window_begin_ = source_at_;
  }
  const std::size_t before = window_.size();
  while (window_.size() == before) {
    const Bytes bytes = source_.some(source_at_, k_step);
    if (bytes.empty()) {
      ended_ = true;
      return false;
    }
    source_at_ += bytes.size();
    decode(bytes);
    if (foreign_) return false;
  }
  return true;
}

int MarkupReader::take() {
  const int c = peek();
  if (c >= 0) ++at_;
  return c;
}

bool MarkupReader::ahead(std::string_view word, bool fold) {
  while (window_.size() - at_ < word.size())
    if (!fill()) break;
  if (window_.size() - at_ < word.size()) return false;
  for (std::size_t i = 0; i < word.size(); ++i) {
    const char c = window_[at_ + i];
    if (c != word[i] && (!fold || lower(c) != lower(word[i]))) return false;
  }
  return true;
}

void MarkupReader::skip(std::size_t n) {
  for (; n > 0 && take() >= 0; --n) {
  }
}

void MarkupReader::skip_space() {
  while (is_space(peek()))
    ++at_;
}

// Moves behind `end`; keeps what lies before it, up to a bound. False: the text was over first.
bool MarkupReader::skip_until(std::string_view end, std::string* keep) {
  for (int c = peek(); c >= 0; c = peek()) {
    if (c == static_cast<unsigned char>(end[0]) && ahead(end)) {
      skip(end.size());
      return true;
    }
    if (keep != nullptr) {
      if (keep->size() < k_max_value)
        *keep += static_cast<char>(c);
      else
        cut_ = true;
    }
    ++at_;
  }
  well_formed_ = false;
  return false;
}

void MarkupReader::read_name() {
  name_.clear();
  for (int c = peek(); is_name(c); c = peek()) {
    if (name_.size() < k_max_name)
      name_ += dialect_ == Dialect::html ? lower(static_cast<char>(c)) : static_cast<char>(c);
    else
      cut_ = true;
    ++at_;
  }
}

void MarkupReader::note_use(std::string_view name) {
  const auto at = uses_.find(std::string(name));
  if (at != uses_.end()) ++at->second;
}

std::string MarkupReader::decode_references(std::string_view raw) {
  std::string out;
  out.reserve(raw.size());
  for (std::size_t at = 0; at < raw.size();) {
    if (raw[at] != '&') {
      out += raw[at++];
      continue;
    }
    const std::size_t end = raw.find(';', at);
    if (end == std::string_view::npos || end - at > k_max_name) {
      out += raw[at++];
      continue;
    }
    const std::string_view name = raw.substr(at + 1, end - at - 1);
    at = end + 1;
    if (name == "amp") {
      out += '&';
    } else if (name == "lt") {
      out += '<';
    } else if (name == "gt") {
      out += '>';
    } else if (name == "quot") {
      out += '"';
    } else if (name == "apos") {
      out += '\'';
    } else if (name.starts_with('#')) {
      const bool hex = name.size() > 1 && lower(name[1]) == 'x';
      char32_t point = 0;
      for (const char c: name.substr(hex ? 2 : 1)) {
        const char digit = lower(c);
        const int value = digit >= '0' && digit <= '9'          ? digit - '0'
                          : hex && digit >= 'a' && digit <= 'f' ? digit - 'a' + 10
                                                                : -1;
        if (value < 0 || point > 0x10ffff) break;
        point = point * (hex ? 16 : 10) + static_cast<char32_t>(value);
      }
      if (point != 0 && point <= 0x10ffff) encode(point, out);
    } else {
      note_use(name);
      out += '&';
      out += name;
      out += ';';
    }
  }
  return out;
}

// The value of an attribute: quoted, or bare as HTML allows.
std::string MarkupReader::read_value(int quote) {
  std::string raw;
  const bool quoted = quote == '"' || quote == '\'';
  if (quoted) ++at_;
  for (int c = peek(); c >= 0; c = peek()) {
    if (quoted ? c == quote : is_space(c) || c == '>') break;
    if (raw.size() < k_max_value)
      raw += static_cast<char>(c);
    else
      cut_ = true;
    ++at_;
  }
  if (quoted && take() < 0) well_formed_ = false;
  if (!quoted) well_formed_ = false;
  return decode_references(raw);
}

Event MarkupReader::read_tag() {
  ++at_;
  read_name();
  attributes_.clear();
  empty_ = false;
  for (;;) {
    skip_space();
    const int c = peek();
    if (c < 0 || c == '<') {
      well_formed_ = false;
      break;
    }
    if (c == '>') {
      ++at_;
      break;
    }
    if (c == '/') {
      ++at_;
      empty_ = peek() == '>';
      continue;
    }
    Attribute item;
    for (int n = peek(); n >= 0 && n != '=' && n != '>' && n != '/' && n != '<' && !is_space(n);
         n = peek()) {
      if (item.name.size() < k_max_name)
        item.name += dialect_ == Dialect::html ? lower(static_cast<char>(n)) : static_cast<char>(n);
      ++at_;
    }
    skip_space();
    if (peek() == '=') {
      ++at_;
      skip_space();
      item.value = read_value(peek());
    } else {
      well_formed_ = false;
      if (item.name.empty()) {
        ++at_; // a stray character
        continue;
      }
    }
    if (attributes_.size() < k_max_attributes)
      attributes_.push_back(std::move(item));
    else
      cut_ = true;
  }
  if (depth_ == 0) ++roots_;
  if (!empty_) ++depth_;
  if (dialect_ == Dialect::html && !empty_ && (name_ == "script" || name_ == "style"))
    raw_until_ = "</" + name_;
  return Event::start;
}

Event MarkupReader::read_end_tag() {
  skip(2);
  read_name();
  skip_until(">", nullptr);
  if (depth_ > 0)
    --depth_;
  else
    well_formed_ = false;
  return Event::end;
}

Event MarkupReader::read_instruction() {
  skip(2);
  read_name();
  text_.clear();
  skip_space();
  skip_until(dialect_ == Dialect::html ? ">" : "?>", &text_);
  return Event::instruction;
}

std::string MarkupReader::read_quoted() {
  skip_space();
  const int quote = peek();
  if (quote != '"' && quote != '\'') return {};
  ++at_;
  std::string out;
  const char end = static_cast<char>(quote);
  skip_until({&end, 1}, &out);
  return out;
}

// ExternalID: SYSTEM "uri", or PUBLIC "id" "uri".
void MarkupReader::read_external() {
  public_id_.clear();
  system_id_.clear();
  external_ = false;
  skip_space();
  if (ahead("PUBLIC", true)) {
    skip(6);
    public_id_ = read_quoted();
    system_id_ = read_quoted();
    external_ = true;
  } else if (ahead("SYSTEM", true)) {
    skip(6);
    system_id_ = read_quoted();
    external_ = true;
  }
}

Event MarkupReader::read_doctype() {
  skip(9);
  skip_space();
  read_name();
  read_external();
  for (int c = peek(); c >= 0; c = peek()) {
    ++at_;
    if (c == '>') return Event::doctype;
    if (c == '[' && dialect_ == Dialect::xml) {
      in_subset_ = true;
      subset_closes_ = true;
      return Event::doctype;
    }
  }
  well_formed_ = false;
  return Event::doctype;
}

Event MarkupReader::read_declaration() {
  skip(2);
  read_name();
  const std::string kind = name_;
  if (kind != "ENTITY") {
    text_.clear();
    // Quotes hide a '>'.
    for (int c = take(); c >= 0 && c != '>'; c = take())
      if (c == '"' || c == '\'') {
        const char end = static_cast<char>(c);
        skip_until({&end, 1}, nullptr);
      }
    name_ = kind;
    return Event::declaration;
  }
  skip_space();
  parameter_ = peek() == '%';
  if (parameter_) {
    ++at_;
    skip_space();
  }
  read_name();
  read_external();
  text_.clear();
  if (!external_) {
    text_ = read_quoted();
    if (!parameter_) {
      if (uses_.size() < k_max_entities)
        uses_.emplace(name_, 0);
      else
        cut_ = true;
    }
  }
  skip_until(">", nullptr);
  return Event::entity;
}

// Inside a DTD, where '<' begins declarations and "%name;" stands for more of it.
Event MarkupReader::read_subset() {
  for (int c = peek(); c >= 0; c = peek()) {
    offset_ = window_begin_ + at_;
    if (c == ']' && subset_closes_ && !ahead("]]>")) {
      in_subset_ = false;
      skip_until(">", nullptr);
      return Event::declaration;
    }
    if (c != '<') {
      ++at_;
      continue;
    }
    if (ahead("<!--")) {
      skip(4);
      skip_until("-->", nullptr);
      continue;
    }
    if (ahead("<?")) return read_instruction();
    if (ahead("<![")) {
      skip(3); // a conditional section: its declarations count whether it is included or not
      continue;
    }
    if (ahead("<!")) return read_declaration();
    if (!subset_closes_) {
      in_subset_ = false;
      return next();
    }
    ++at_;
  }
  return Event::finish;
}

Event MarkupReader::read_raw_text() {
  text_.clear();
  while (peek() >= 0) {
    if (peek() == '<' && ahead(raw_until_, true)) {
      raw_until_.clear();
      return text_.empty() ? next() : Event::text;
    }
    text_ += static_cast<char>(take());
    if (text_.size() >= k_max_piece) return Event::text;
  }
  raw_until_.clear();
  return text_.empty() ? next() : Event::text;
}

Event MarkupReader::read_text() {
  text_.clear();
  bool blank = true;
  for (int c = peek(); c >= 0; c = peek()) {
    if (c == '<' && !text_.empty()) break;
    if (text_.size() >= k_max_piece) break;
    blank = blank && is_space(c);
    text_ += static_cast<char>(c);
    ++at_;
  }
  if (!blank && depth_ == 0) well_formed_ = false;
  if (text_.find('&') != std::string::npos) text_ = decode_references(text_);
  return Event::text;
}

Event MarkupReader::next() {
  if (foreign_) return Event::foreign;
  offset_ = window_begin_ + at_;
  if (!started_) {
    started_ = true;
    skip_space();
    // The external subset of a document is a file of declarations.
    if (dialect_ == Dialect::xml)
      for (const std::string_view word: {"<!ENTITY", "<!ELEMENT", "<!ATTLIST", "<!NOTATION", "<!["})
        in_subset_ = in_subset_ || (ahead(word) && !ahead("<![CDATA["));
  }
  const Event event = [&] {
    if (in_subset_) return read_subset();
    if (!raw_until_.empty()) return read_raw_text();
    const int c = peek();
    if (c < 0) return Event::finish;
    if (c != '<') return read_text();
    if (ahead("<!--")) {
      skip(4);
      skip_until("-->", nullptr);
      text_.clear();
      return Event::comment;
    }
    if (ahead("<![CDATA[")) {
      skip(9);
      text_.clear();
      skip_until("]]>", &text_);
      return Event::text;
    }
    if (ahead("<!DOCTYPE", true)) return read_doctype();
    if (ahead("<!") && depth_ == 0 && roots_ == 0) {
      in_subset_ = true;
      return read_subset();
    }
    if (ahead("<?")) return read_instruction();
    if (ahead("</")) return read_end_tag();
    if (window_.size() - at_ > 1 && is_name_start(static_cast<unsigned char>(window_[at_ + 1])))
      return read_tag();
    if (ahead("<!")) {
      skip_until(">", nullptr);
      return Event::comment;
    }
    well_formed_ = false;
    return read_text();
  }();
  return foreign_ ? Event::foreign : event;
}

} // namespace hubgate::xml
