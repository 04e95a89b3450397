#include "scanner/formats/parquet/thrift.hpp"

#include <algorithm>

namespace hubgate::parquet {

std::optional<std::uint64_t> Thrift::varint() {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    const auto byte = in_.le<std::uint8_t>();
    if (!byte) break;
    value |= std::uint64_t{*byte & 0x7fU} << shift;
    if ((*byte & 0x80) == 0) return value;
  }
  fail();
  return std::nullopt;
}

std::optional<std::int64_t> Thrift::zigzag() {
  const auto raw = varint();
  if (!raw) return std::nullopt;
  return static_cast<std::int64_t>((*raw >> 1) ^ (~(*raw & 1) + 1));
}

void Thrift::enter() {
  if (depth_ >= k_depth) {
    fail();
    return;
  }
  last_[depth_++] = 0;
}

bool Thrift::next(Field& out) {
  if (failed_ || depth_ == 0) return false;
  const auto head = in_.le<std::uint8_t>();
  if (!head) {
    fail();
    return false;
  }
  const unsigned type = *head & 15;
  if (type == 0) return false;
  if (type > 13) {
    fail();
    return false;
  }
  std::int32_t& last = last_[depth_ - 1];
  if ((*head >> 4) != 0) {
    last += *head >> 4;
  } else {
    const auto id = zigzag();
    if (!id || *id < -32768 || *id > 32767) {
      fail();
      return false;
    }
    last = static_cast<std::int32_t>(*id);
  }
  out = {static_cast<Wire>(type), last};
  return true;
}

std::optional<std::int64_t> Thrift::integer(const Field& field) {
  switch (field.type) {
  case Wire::yes:
    return 1;
  case Wire::no:
    return 0;
  case Wire::byte: {
    const auto value = in_.le<std::int8_t>();
    if (!value) fail();
    return value ? std::optional<std::int64_t>(*value) : std::nullopt;
  }
  case Wire::i16:
  case Wire::i32:
  case Wire::i64:
    return zigzag();
  default:
    skip(field);
    return std::nullopt;
  }
}

std::optional<Bytes> Thrift::binary(const Field& field) {
  if (field.type != Wire::binary) {
    skip(field);
    return std::nullopt;
  }
  return element_binary();
}

std::optional<Thrift::List> Thrift::list_header() {
  const auto head = in_.le<std::uint8_t>();
  if (!head) {
    fail();
    return std::nullopt;
  }
  std::uint64_t size = *head >> 4;
  if (size == 15) {
    const auto more = varint();
    if (!more) return std::nullopt;
    size = *more;
  }
  const unsigned type = *head & 15;
  // The smallest element of any type is one byte.
  if (type > 13 || type == 0 || !in_.can_hold(size, 1)) {
    if (size == 0) return List{Wire::byte, 0};
    fail();
    return std::nullopt;
  }
  return List{static_cast<Wire>(type), size};
}

std::optional<Thrift::List> Thrift::list(const Field& field) {
  if (field.type != Wire::list && field.type != Wire::set) {
    skip(field);
    return std::nullopt;
  }
  return list_header();
}

std::optional<std::int64_t> Thrift::element_integer() {
  return zigzag();
}

std::optional<Bytes> Thrift::element_binary() {
  const auto length = varint();
  if (!length) return std::nullopt;
  const auto bytes = in_.take(*length);
  if (!bytes) fail();
  return bytes;
}

void Thrift::skip_flat(Wire type, bool element) {
  std::uint64_t length = 0;
  switch (type) {
  case Wire::yes:
  case Wire::no:
    length = element ? 1 : 0; // a field says it in its type
    break;
  case Wire::byte:
    length = 1;
    break;
  case Wire::i16:
  case Wire::i32:
  case Wire::i64:
    varint();
    return;
  case Wire::number:
    length = 8;
    break;
  case Wire::uuid:
    length = 16;
    break;
  case Wire::binary:
    element_binary();
    return;
  default:
    fail();
    return;
  }
  if (!in_.skip(length)) fail();
}

// What is nested is a stack of "so many more of this": structures count as endless.
void Thrift::skip_value(Wire type, bool element) {
  struct Open {
    bool structure;
    Wire first;
    Wire second; ///< of a map: the value's type
    std::uint64_t left;
    bool is_map;
    bool at_second;
  };
  std::array<Open, k_depth> open{};
  std::size_t depth = 0;
  Wire current = type;
  bool as_element = element;
  for (;;) {
    if (failed_) return;
    // One value of type `current`.
    if (current == Wire::structure || current == Wire::list || current == Wire::set ||
        current == Wire::map) {
      if (depth >= k_depth) return fail();
      Open& top = open[depth];
      top = {};
      if (current == Wire::structure) {
        top.structure = true;
      } else if (current == Wire::map) {
        const auto size = varint();
        if (!size) return;
        if (*size > 0) {
          const auto types = in_.le<std::uint8_t>();
          if (!types || !in_.can_hold(*size, 1)) return fail();
          top.first = static_cast<Wire>(*types >> 4);
          top.second = static_cast<Wire>(*types & 15);
          top.is_map = true;
          top.left = *size;
        }
      } else {
        const auto size = list_header();
        if (!size) return;
        top.first = size->type;
        top.left = size->size;
      }
      ++depth;
    } else {
      skip_flat(current, as_element);
    }
    // What comes next.
    for (;;) {
      if (failed_ || depth == 0) return;
      Open& top = open[depth - 1];
      if (top.structure) {
        const auto head = in_.le<std::uint8_t>();
        if (!head) return fail();
        if ((*head & 15) == 0) {
          --depth;
          continue;
        }
        if ((*head >> 4) == 0) varint();
        current = static_cast<Wire>(*head & 15);
        as_element = false;
        break;
      }
      if (top.is_map && top.at_second) {
        top.at_second = false;
        current = top.second;
        as_element = true;
        break;
      }
      if (top.left == 0) {
        --depth;
        continue;
      }
      --top.left;
      top.at_second = top.is_map;
      current = top.first;
      as_element = true;
      break;
    }
  }
}

} // namespace hubgate::parquet
