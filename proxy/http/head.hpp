#pragma once
// Heads of HTTP/1.1 messages: Beast's parser behind checks of our own that leave no room for two
// readings of one message (request smuggling). A head is complete, at most k_max_head bytes, when
// it comes here; the body is framed by what `framing` says and by nothing else.
#include "scanner/core/result.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hubgate::proxy {

inline constexpr std::size_t k_max_head = std::size_t{64} << 10;

inline constexpr std::size_t k_max_fields = 256;

/// One field; borrows from its Headers.
struct Header {
  std::string_view name;
  std::string_view value;
};

/// Fields in order. Names compare without case. All text lies in one string, so what get() and the
/// iterators give is valid until the next add() or set().
class Headers {
  struct Slot {
    std::uint32_t name;
    std::uint32_t value;
    std::uint32_t end;
  };

public:
  class Iterator {
  public:
    Iterator(const Headers& headers, const Slot* slot) : headers_(headers), slot_(slot) {}
    Header operator*() const { return headers_.field(*slot_); }
    Iterator& operator++() {
      ++slot_;
      return *this;
    }
    bool operator!=(const Iterator& other) const { return slot_ != other.slot_; }

  private:
    const Headers& headers_;
    const Slot* slot_;
  };

  Iterator begin() const { return {*this, slots_.data()}; }
  Iterator end() const { return {*this, slots_.data() + slots_.size()}; }
  std::size_t size() const { return slots_.size(); }
  /// The first value, or nothing.
  std::optional<std::string_view> get(std::string_view name) const;
  bool has(std::string_view name) const { return get(name).has_value(); }
  /// All values of a list field, joined by ", ".
  std::string joined(std::string_view name) const;
  void add(std::string_view name, std::string_view value);
  /// Room for so many fields and bytes of text.
  void reserve(std::size_t fields, std::size_t bytes) {
    slots_.reserve(fields);
    text_.reserve(bytes);
  }
  /// Replaces every field of that name.
  void set(std::string_view name, std::string_view value);
  void remove(std::string_view name);
  /// Appends "Name: value\r\n" lines. Values with control characters are left out.
  void write(std::string& out) const;

private:
  Header field(const Slot& slot) const {
    const std::string_view text = text_;
    return {text.substr(slot.name, slot.value - slot.name),
            text.substr(slot.value, slot.end - slot.value)};
  }

  std::string text_; ///< names and values, end to end; those of removed fields stay
  std::vector<Slot> slots_;
};

enum class Framing { none, length, chunked, until_close };

struct RequestHead {
  std::string method;
  std::string target;
  Headers headers;
  Framing framing = Framing::none;
  std::uint64_t length = 0;
  bool keep_alive = true;
  bool expects_continue = false;
};

struct ResponseHead {
  int status = 0;
  Headers headers;
  Framing framing = Framing::none;
  std::uint64_t length = 0; ///< for Framing::length
  bool keep_alive = true;
};

/// Both take everything up to and including the empty line. The error says what is wrong.
Result<RequestHead> parse_request(std::string_view head);
/// `to_head`: it answers a HEAD request, so no body follows whatever the fields say (they are
/// kept).
Result<ResponseHead> parse_response(std::string_view head, bool to_head);

/// Where the head ends: one past the empty line, 0 when it is not there yet. `from`: where to go on
/// looking after more bytes came.
std::size_t head_end(std::string_view bytes, std::size_t from);

bool equals_ignoring_case(std::string_view a, std::string_view b);
std::string lower(std::string_view text);
/// Decimal digits only, no overflow.
std::optional<std::uint64_t> parse_decimal(std::string_view text);
std::string_view status_text(int status);
std::string_view trimmed(std::string_view text);

} // namespace hubgate::proxy
