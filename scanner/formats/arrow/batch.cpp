#include "scanner/formats/arrow/batch.hpp"

#include "scanner/codecs/codecs.hpp"
#include "scanner/core/reader.hpp"

#include <algorithm>

namespace hubgate::arrow {
namespace {

constexpr std::size_t k_block = std::size_t{64} << 10;
constexpr std::uint64_t k_view = 16;       ///< bytes of an entry of a view buffer
constexpr std::uint32_t k_short_fixed = 8; ///< too short for anything
constexpr std::uint64_t k_lz4_ratio = 256;

std::vector<std::uint8_t> copy_of(Source& source, std::uint64_t at, std::uint64_t n) {
  const Bytes bytes = source.view(at, static_cast<std::size_t>(n));
  return {bytes.begin(), bytes.end()};
}

} // namespace

bool BatchWalk::refuse(const Rule& rule, std::uint64_t at, std::string_view evidence) {
  session_.find(rule, at, 0, evidence);
  session_.gap(Reason::malformed, Reach::data, at, evidence);
  return false;
}

bool BatchWalk::extents(Flatbuffer& buffer, const FlatTable& batch, std::uint64_t length) {
  const auto list = buffer.vector(batch, 2, 16);
  buffers_.clear();
  for (std::uint32_t i = 0; list && i < list->count; ++i) {
    const auto offset = buffer.load<std::uint64_t>(list->at + std::uint64_t{i} * 16);
    const auto size = buffer.load<std::uint64_t>(list->at + std::uint64_t{i} * 16 + 8);
    if (!offset || !size) return false;
    if (*offset > length || *size > length - *offset) {
      session_.find(rules_.structure, buffer.offset(list->at), 0,
                    "a buffer of " + std::to_string(*size) + " bytes at " +
                        std::to_string(*offset) + " in a body of " + std::to_string(length));
      return false;
    }
    buffers_.emplace_back(*offset, *size);
  }
  codec_ = -1;
  if (const auto compression = buffer.table(batch, 3))
    codec_ = buffer.number<std::int8_t>(*compression, 0, 0);
  return buffer.failure() == FlatFailure::none;
}

// Compressed buffers begin with their unpacked length; -1 there: stored after all.
std::optional<BatchWalk::Part> BatchWalk::part(std::size_t index) {
  const auto [at, size] = buffers_[index];
  if (codec_ < 0 || size == 0)
    return Part{std::make_unique<SubSource>(source_, at, size), size, at};
  const auto stated = Reader(source_.view(at, 8)).le<std::int64_t>();
  if (!stated || size < 8) return std::nullopt;
  const std::uint64_t packed = size - 8;
  if (*stated == -1) return Part{std::make_unique<SubSource>(source_, at + 8, packed), packed, at};
  if (*stated < 0) return std::nullopt;
  const auto unpacked = static_cast<std::uint64_t>(*stated);
  if (codec_ == 0 && unpacked / k_lz4_ratio > packed + 16) {
    session_.find(rules_.bomb, at, 0,
                  "a buffer of " + std::to_string(packed) + " bytes says that it unpacks to " +
                      std::to_string(unpacked));
    return std::nullopt;
  }
  auto decoder = codec_ == 0 ? decode_lz4(source_, at + 8, at + size)
                             : decode_zstd(source_, at + 8, at + size);
  return Part{std::make_unique<DecodedSource>(std::move(decoder), session_.budget()), unpacked, at};
}

// What decoding met on the way becomes a gap; returns whether it met something.
bool BatchWalk::faults(Part& part) {
  const Fault fault = part.source->fault();
  if (fault == Fault::none) return false;
  const Reason reason = fault == Fault::budget      ? Reason::budget
                        : fault == Fault::truncated ? Reason::truncated
                                                    : Reason::malformed;
  if (session_.budget().is_bomb())
    session_.find(rules_.bomb, part.at, 0, "its buffers unpack to more than is honest");
  session_.gap(reason, Reach::data, part.at, "a buffer can't be unpacked");
  return true;
}

bool BatchWalk::values(Source& offsets, std::uint64_t offsets_size, unsigned width, Source& data,
                       std::string_view name, std::uint64_t at) {
  std::uint64_t before = 0;
  bool first = true;
  std::uint64_t text = 0; // cells up to here were looked at as text
  for (std::uint64_t done = 0; done < offsets_size;) {
    const auto block =
        copy_of(offsets, done, std::min<std::uint64_t>(k_block, offsets_size - done));
    if (block.size() < width) return block.empty() ? false : true; // padding
    Reader in(block);
    for (;;) {
      std::optional<std::uint64_t> value;
      if (width == 8)
        value = in.le<std::uint64_t>();
      else if (const auto narrow = in.le<std::uint32_t>())
        value = *narrow;
      if (!value) break;
      if (first) {
        before = text = *value;
        first = false;
        continue;
      }
      if (*value < before) return *value == 0; // zeros behind the last offset are padding
      const std::uint64_t length = *value - before;
      if (length > k_block)
        judge_.look(data, before, length, name, at);
      else if (length > 0)
        judge_.look(data.view(before, static_cast<std::size_t>(length)), name, at);
      before = *value;
      while (before - text >= k_block) {
        judge_.look_text(data.view(text, k_block), name, at);
        text += k_block;
      }
    }
    done += block.size() / width * width;
    if (!session_.budget().time_left()) return false;
  }
  judge_.look_text(data.view(text, static_cast<std::size_t>(before - text)), name, at);
  return before == 0 || !data.view(before - 1, 1).empty();
}

bool BatchWalk::fixed(Part& data, std::uint32_t width, std::string_view name) {
  const std::uint64_t at_once = std::max<std::uint64_t>(1, k_block / width);
  for (std::uint64_t at = 0; at + width <= data.size;) {
    if (width > k_block) {
      judge_.look(*data.source, at, width, name, data.at);
      at += width;
      continue;
    }
    const std::uint64_t count = std::min(at_once, (data.size - at) / width);
    const Bytes block = data.source->view(at, static_cast<std::size_t>(count * width));
    if (block.size() < count * width) return false;
    for (std::uint64_t i = 0; i < count; ++i)
      judge_.look(block.subspan(static_cast<std::size_t>(i * width), width), name, data.at);
    at += count * width;
  }
  return true;
}

bool BatchWalk::views(Part& entries, std::size_t first, std::uint64_t count,
                      std::string_view name) {
  std::vector<Part> parts;
  for (std::uint64_t i = 0; i < count; ++i) {
    auto item = part(first + static_cast<std::size_t>(i));
    if (!item) return false;
    parts.push_back(std::move(*item));
  }
  for (std::uint64_t done = 0; done + k_view <= entries.size;) {
    const auto block =
        copy_of(*entries.source, done, std::min<std::uint64_t>(k_block, entries.size - done));
    const std::uint64_t here = block.size() / k_view;
    if (here == 0) return false;
    for (std::uint64_t i = 0; i < here; ++i) {
      Reader in(Bytes(block).subspan(static_cast<std::size_t>(i * k_view), k_view));
      const auto length = in.le<std::uint32_t>().value_or(0);
      if (length <= 12) {
        judge_.look(in.take(length).value_or(Bytes{}), name, entries.at);
        continue;
      }
      in.skip(4);
      const auto which = in.le<std::uint32_t>().value_or(0);
      const auto offset = in.le<std::uint32_t>().value_or(0);
      if (which >= parts.size() || std::uint64_t{offset} + length > parts[which].size) {
        session_.find(rules_.structure, entries.at, 0,
                      std::string(name) + ": a view leads outside of its buffer");
        return false;
      }
      judge_.look(*parts[which].source, offset, length, name, entries.at);
    }
    done += here * k_view;
    if (!session_.budget().time_left()) return false;
  }
  return std::none_of(parts.begin(), parts.end(), [&](Part& item) { return faults(item); });
}

// One buffer, or offsets and data together; `next` is moved behind what was used.
bool BatchWalk::one(const std::vector<BufferSpec>& specs, std::size_t spec, std::size_t& next,
                    const std::string& name, std::uint64_t variadic) {
  const BufferSpec& kind = specs[spec];
  switch (kind.kind) {
  case Buffer::numbers:
  case Buffer::data:
    ++next;
    return true;
  case Buffer::fixed: {
    if (kind.width <= k_short_fixed) {
      ++next;
      return true;
    }
    auto data = part(next++);
    return data && fixed(*data, kind.width, name) && !faults(*data);
  }
  case Buffer::views: {
    auto entries = part(next++);
    const std::size_t first = next;
    if (variadic > buffers_.size() - next) return false;
    next += static_cast<std::size_t>(variadic);
    return entries && views(*entries, first, variadic, name) && !faults(*entries);
  }
  case Buffer::offsets32:
  case Buffer::offsets64:
    break;
  }
  if (buffers_.size() - next < 2) return false;
  auto offsets = part(next++);
  auto data = part(next++);
  if (!offsets || !data) return false;
  if (offsets->size == 0) return true;
  const unsigned width = kind.kind == Buffer::offsets32 ? 4 : 8;
  const bool fine = values(*offsets->source, offsets->size, width, *data->source, name, data->at);
  return !faults(*offsets) && !faults(*data) && fine;
}

bool BatchWalk::run(Flatbuffer& buffer, const FlatTable& batch,
                    const std::vector<BufferSpec>& specs, const std::vector<std::string>& names,
                    std::uint64_t begin, std::uint64_t length) {
  if (!extents(buffer, batch, length)) {
    session_.gap(Reason::malformed, Reach::data, begin, "the buffers of a batch can't be found");
    return false;
  }
  for (auto& [at, size]: buffers_)
    at += begin;
  const auto counts = buffer.vector(batch, 4, 8);
  std::uint32_t viewed = 0;
  std::size_t next = 0;
  bool fine = true;
  for (std::size_t i = 0; i < specs.size(); ++i) {
    if (next >= buffers_.size())
      return refuse(rules_.structure, begin, "a batch has fewer buffers than its schema");
    std::uint64_t variadic = 0;
    if (specs[i].kind == Buffer::views)
      variadic = counts ? buffer.number_at<std::uint64_t>(*counts, viewed++).value_or(0) : 0;
    const std::string name = "column " + names[specs[i].field];
    const std::uint64_t at = buffers_[next].first;
    if (!one(specs, i, next, name, variadic)) {
      session_.gap(session_.budget().time_left() ? Reason::malformed : Reason::budget, Reach::data,
                   at, name + ": its values can't be read");
      fine = false;
      // Offsets took their data with them, or nothing.
    }
    if (specs[i].kind == Buffer::offsets32 || specs[i].kind == Buffer::offsets64) ++i;
  }
  return fine;
}

} // namespace hubgate::arrow
