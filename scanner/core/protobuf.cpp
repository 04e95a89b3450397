#include "scanner/core/protobuf.hpp"

#include <algorithm>

namespace hubgate {
namespace {

constexpr std::size_t k_window = std::size_t{64} << 10;
// What a jump to another place reads: nested messages are short, and fields behind them near.
constexpr std::size_t k_step = std::size_t{8} << 10;
constexpr std::uint64_t k_unknown = ~std::uint64_t{0};

} // namespace

Bytes ProtoInput::bytes(std::uint64_t at, std::size_t n) {
  n = std::min(n, k_window);
  if (at < begin_ || at - begin_ > window_.size() || n > window_.size() - (at - begin_)) {
    const Bytes fresh = source_.view(at, std::max(n, k_step));
    window_.assign(fresh.begin(), fresh.end());
    begin_ = at;
  }
  const Bytes there = Bytes(window_).subspan(static_cast<std::size_t>(at - begin_));
  return there.first(std::min(n, there.size()));
}

std::optional<std::uint8_t> ProtoInput::byte(std::uint64_t at) {
  const Bytes one = bytes(at, 1);
  return one.empty() ? std::nullopt : std::optional<std::uint8_t>(one[0]);
}

bool ProtoReader::fail(ProtoFailure failure) {
  if (failure_ == ProtoFailure::none) failure_ = failure;
  return false;
}

// Ten bytes at most; the tenth holds one bit. Parsers accept longer forms of small numbers.
std::optional<std::uint64_t> ProtoReader::varint(bool& overlong) {
  std::uint64_t value = 0;
  const Bytes raw = input_.bytes(
      at_, static_cast<std::size_t>(std::min<std::uint64_t>(10, end_ - std::min(at_, end_))));
  for (std::size_t i = 0; i < raw.size(); ++i) {
    if (i == 9 && raw[i] > 1) break;
    value |= std::uint64_t{raw[i] & 0x7fU} << (7 * i);
    if (raw[i] < 0x80) {
      overlong = overlong || (i > 0 && raw[i] == 0);
      at_ += i + 1;
      return value;
    }
  }
  fail(raw.size() == 10 ? ProtoFailure::malformed : ProtoFailure::truncated);
  return std::nullopt;
}

// Where the size was not known, what was skipped last must have been there.
bool ProtoReader::at_end() {
  if (at_ >= end_) return true;
  if (end_ != k_unknown || input_.byte(at_)) return false;
  if (at_ > begin_ && !input_.byte(at_ - 1)) fail(ProtoFailure::truncated);
  return true;
}

bool ProtoReader::fixed(ProtoField& field, std::uint64_t size) {
  if (size > end_ - at_) return fail(ProtoFailure::truncated);
  const Bytes raw = input_.bytes(at_, static_cast<std::size_t>(size));
  if (raw.size() < size) return fail(ProtoFailure::truncated);
  field.value = 0;
  for (std::size_t i = raw.size(); i-- > 0;)
    field.value = (field.value << 8) | raw[i];
  field.begin = at_;
  at_ += size;
  field.end = at_;
  return true;
}

// Walks to the end tag without recursion; what lies between is the payload.
bool ProtoReader::skip_group(std::uint32_t number, ProtoField& field) {
  std::vector<std::uint32_t> open{number};
  field.begin = at_;
  while (!open.empty()) {
    field.end = at_;
    bool overlong = false;
    if (at_end()) return fail(ProtoFailure::truncated);
    const auto tag = varint(overlong);
    if (!tag) return false;
    const std::uint64_t inner = *tag >> 3;
    if (inner == 0 || inner > 0x1fffffff) return fail(ProtoFailure::malformed);
    ProtoField skipped;
    switch (*tag & 7) {
    case 0:
      if (!varint(overlong)) return false;
      break;
    case 1:
      if (!fixed(skipped, 8)) return false;
      break;
    case 2: {
      const auto length = varint(overlong);
      if (!length) return false;
      if (*length > end_ - at_) return fail(ProtoFailure::truncated);
      at_ += *length;
      break;
    }
    case 3:
      if (open.size() + depth_ >= k_proto_depth) return fail(ProtoFailure::limit);
      open.push_back(static_cast<std::uint32_t>(inner));
      break;
    case 4:
      if (open.back() != inner) return fail(ProtoFailure::malformed);
      open.pop_back();
      break;
    case 5:
      if (!fixed(skipped, 4)) return false;
      break;
    default:
      return fail(ProtoFailure::malformed);
    }
  }
  return true;
}

bool ProtoReader::next(ProtoField& field) {
  if (failure_ != ProtoFailure::none || at_end()) return false;
  field.offset = at_;
  field.overlong = false;
  const auto tag = varint(field.overlong);
  if (!tag) return false;
  const std::uint64_t number = *tag >> 3;
  if (number == 0 || number > 0x1fffffff) return fail(ProtoFailure::malformed);
  field.number = static_cast<std::uint32_t>(number);
  field.value = 0;
  switch (*tag & 7) {
  case 0: {
    field.wire = ProtoWire::varint;
    field.begin = at_;
    const auto value = varint(field.overlong);
    if (!value) return false;
    field.value = *value;
    field.end = at_;
    return true;
  }
  case 1:
    field.wire = ProtoWire::fixed64;
    return fixed(field, 8);
  case 2: {
    field.wire = ProtoWire::bytes;
    const auto length = varint(field.overlong);
    if (!length) return false;
    if (*length > end_ - at_) return fail(ProtoFailure::truncated);
    field.begin = at_;
    at_ += *length;
    field.end = at_;
    return true;
  }
  case 3:
    field.wire = ProtoWire::group;
    return skip_group(field.number, field);
  case 5:
    field.wire = ProtoWire::fixed32;
    return fixed(field, 4);
  default:
    return fail(ProtoFailure::malformed);
  }
}

ProtoReader ProtoReader::inside(const ProtoField& field) const {
  ProtoReader inner(input_, field.begin, field.end, depth_ + 1);
  if (inner.depth_ > k_proto_depth) inner.fail(ProtoFailure::limit);
  return inner;
}

std::string ProtoReader::text(const ProtoField& field, std::size_t max) {
  const std::uint64_t wanted = std::min<std::uint64_t>(max, field.size());
  std::string out;
  while (out.size() < wanted) {
    const Bytes piece = input_.bytes(
        field.begin + out.size(),
        static_cast<std::size_t>(std::min<std::uint64_t>(k_window, wanted - out.size())));
    if (piece.empty()) break;
    out += as_text(piece);
  }
  return out;
}

std::optional<std::uint64_t> ProtoReader::packed_varint() {
  if (failure_ != ProtoFailure::none || at_end()) return std::nullopt;
  bool overlong = false;
  return varint(overlong);
}

} // namespace hubgate
