#include "scanner/core/flatbuffer.hpp"

#include <algorithm>

namespace hubgate {
namespace {

constexpr std::size_t k_most = std::size_t{64} << 10;
constexpr std::size_t k_step = std::size_t{4} << 10;

} // namespace

std::nullopt_t Flatbuffer::fail(FlatFailure failure, std::uint64_t at) {
  if (failure_ == FlatFailure::none) {
    failure_ = failure;
    failed_at_ = at;
  }
  return std::nullopt;
}

bool Flatbuffer::step() {
  if (steps_ == 0) {
    fail(FlatFailure::limit, 0);
    return false;
  }
  --steps_;
  return true;
}

Bytes Flatbuffer::bytes(std::uint64_t at, std::size_t n) {
  if (!step()) return {};
  if (n > k_most || at > size_ || n > size_ - at) {
    fail(FlatFailure::bounds, at);
    return {};
  }
  if (at < window_at_ || at - window_at_ > window_.size() ||
      n > window_.size() - (at - window_at_)) {
    // Offsets lead forward and, to vtables, a little backward.
    const std::uint64_t from = n >= k_step / 2 ? at : at - std::min<std::uint64_t>(at, k_step / 4);
    const std::uint64_t most =
        std::min<std::uint64_t>(size_ - from, std::max<std::uint64_t>(k_step, at - from + n));
    const Bytes fresh = source_.view(begin_ + from, static_cast<std::size_t>(most));
    window_.assign(fresh.begin(), fresh.end());
    window_at_ = from;
    if (at - from > window_.size() || n > window_.size() - (at - from)) {
      fail(FlatFailure::ended, at);
      return {};
    }
  }
  reached_ = std::max(reached_, at + n);
  return Bytes(window_).subspan(static_cast<std::size_t>(at - window_at_), n);
}

// The offset at `at` leads to a table, whose first word leads to its vtable.
std::optional<FlatTable> Flatbuffer::indirect(std::uint64_t at) {
  const auto offset = load<std::uint32_t>(at);
  if (!offset) return std::nullopt;
  FlatTable table;
  table.at = at + *offset;
  const auto back = load<std::int32_t>(table.at);
  if (!back) return std::nullopt;
  const std::int64_t vtable = static_cast<std::int64_t>(table.at) - *back;
  if (*offset == 0 || vtable < 0) return fail(FlatFailure::bounds, at);
  table.vtable = static_cast<std::uint64_t>(vtable);
  const auto length = load<std::uint16_t>(table.vtable);
  const auto size = load<std::uint16_t>(table.vtable + 2);
  if (!length || !size) return std::nullopt;
  if (*length < 4 || *length % 2 != 0 || *size < 4 || *length > size_ - table.vtable ||
      *size > size_ - table.at)
    return fail(FlatFailure::bounds, table.vtable);
  table.slots = static_cast<std::uint16_t>((*length - 4) / 2);
  table.size = *size;
  reached_ = std::max({reached_, table.vtable + *length, table.at + *size});
  return table;
}

std::optional<std::uint64_t> Flatbuffer::field(const FlatTable& table, std::uint16_t id,
                                               std::uint32_t bytes) {
  if (id >= table.slots) return std::nullopt;
  const auto inside = load<std::uint16_t>(table.vtable + 4 + std::uint64_t{id} * 2);
  if (!inside || *inside == 0) return std::nullopt;
  if (*inside < 4 || *inside > table.size || bytes > std::uint32_t{table.size} - *inside)
    return fail(FlatFailure::bounds, table.vtable + 4 + std::uint64_t{id} * 2);
  return table.at + *inside;
}

std::optional<FlatTable> Flatbuffer::table(const FlatTable& table, std::uint16_t id) {
  const auto at = field(table, id, 4);
  return at ? indirect(*at) : std::nullopt;
}

std::optional<FlatVector> Flatbuffer::vector_from(std::uint64_t at, std::uint32_t each) {
  const auto offset = load<std::uint32_t>(at);
  if (!offset) return std::nullopt;
  const std::uint64_t begin = at + *offset;
  const auto count = load<std::uint32_t>(begin);
  if (!count) return std::nullopt;
  const std::uint64_t bytes = std::uint64_t{*count} * each;
  if (*offset == 0 || bytes > size_ - begin - 4) return fail(FlatFailure::bounds, begin);
  reached_ = std::max(reached_, begin + 4 + bytes);
  return FlatVector{begin + 4, *count, each};
}

std::optional<FlatVector> Flatbuffer::vector(const FlatTable& table, std::uint16_t id,
                                             std::uint32_t each) {
  const auto at = field(table, id, 4);
  return at ? vector_from(*at, each) : std::nullopt;
}

std::optional<std::string> Flatbuffer::string_from(std::uint64_t at, std::size_t max) {
  const auto text = vector_from(at, 1);
  if (!text) return std::nullopt;
  std::string out;
  const std::size_t wanted = std::min<std::size_t>(max, text->count);
  while (out.size() < wanted) {
    const Bytes piece = bytes(text->at + out.size(), std::min(k_most, wanted - out.size()));
    if (piece.empty()) return std::nullopt;
    out += as_text(piece);
  }
  return out;
}

std::optional<std::string> Flatbuffer::string(const FlatTable& table, std::uint16_t id,
                                              std::size_t max) {
  const auto at = field(table, id, 4);
  return at ? string_from(*at, max) : std::nullopt;
}

std::optional<FlatTable> Flatbuffer::table_at(const FlatVector& vector, std::uint32_t index) {
  if (index >= vector.count || vector.each != 4) return std::nullopt;
  return indirect(vector.at + std::uint64_t{index} * 4);
}

std::optional<std::string> Flatbuffer::string_at(const FlatVector& vector, std::uint32_t index,
                                                 std::size_t max) {
  if (index >= vector.count || vector.each != 4) return std::nullopt;
  return string_from(vector.at + std::uint64_t{index} * 4, max);
}

} // namespace hubgate
