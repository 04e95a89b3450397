#include "scanner/formats/parquet/pages.hpp"

#include "scanner/codecs/blocks.hpp"
#include "scanner/codecs/codecs.hpp"
#include "scanner/core/cursor.hpp"
#include "scanner/formats/parquet/delta.hpp"

#include <algorithm>
#include <bit>

namespace hubgate::parquet {
namespace {

constexpr std::size_t k_block = std::size_t{256} << 10;
constexpr std::size_t k_max_header = std::size_t{1} << 20; ///< statistics hold whole values
constexpr std::uint64_t k_max_values = 8'000'000;          ///< of one page of deltas
constexpr std::uint64_t k_short_fixed = 8;                 ///< too short for anything

enum Encoding : std::int64_t {
  k_plain = 0,
  k_plain_dictionary = 2,
  k_delta_length = 6,
  k_delta_byte_array = 7,
  k_rle_dictionary = 8,
  k_byte_stream_split = 9,
};

// What one packed byte can make at most; 0: no bound worth a check.
std::uint64_t most_of(std::int64_t codec) {
  switch (static_cast<Codec>(codec)) {
  case Codec::stored:
    return 1;
  case Codec::snappy:
    return 22;
  case Codec::gzip:
    return 1033;
  case Codec::lz4:
  case Codec::lz4_raw:
    return 256;
  default:
    return 0;
  }
}

std::unique_ptr<Decoder> lz4_of_any_kind(Source& source, std::uint64_t begin, std::uint64_t end) {
  Reader head(source.view(begin, 8));
  const auto unpacked = head.be<std::uint32_t>();
  const auto packed = head.be<std::uint32_t>();
  if (unpacked == 0x04224d18U) return decode_lz4(source, begin, end);
  if (unpacked && packed && *packed <= end - begin - 8 && *packed > 0)
    return decode_lz4_hadoop(source, begin, end);
  return decode_lz4_block(source, begin, end);
}

std::unique_ptr<Decoder> decoder_of(std::int64_t codec, Source& source, std::uint64_t begin,
                                    std::uint64_t end) {
  switch (static_cast<Codec>(codec)) {
  case Codec::stored:
    return decode_stored(source, begin, end);
  case Codec::snappy:
    return decode_snappy_block(source, begin, end);
  case Codec::gzip:
    return decode_gzip(source, begin, end);
  case Codec::lz4:
    return lz4_of_any_kind(source, begin, end);
  case Codec::zstd:
    return decode_zstd(source, begin, end);
  case Codec::lz4_raw:
    return decode_lz4_block(source, begin, end);
  case Codec::brotli:
    return decode_brotli(source, begin, end);
  default:
    return nullptr;
  }
}

} // namespace

bool ChunkWalk::fail(Reason reason, std::uint64_t offset, std::string_view detail) {
  session_.gap(reason, Reach::data, offset, name_ + ": " + std::string(detail));
  return false;
}

// A page's stated size is what a reader allocates before it unpacks.
bool ChunkWalk::sizes_hold(const PageHeader& header, std::uint64_t body) {
  constexpr std::int64_t k_slack = 1 << 16;
  const std::uint64_t most = most_of(chunk_.codec);
  const bool compressed = header.type != 3 || header.compressed;
  if (compressed && most == 1 && header.unpacked != header.packed) {
    session_.find(rules_.size, body, 0,
                  name_ + ": " + std::to_string(header.packed) +
                      " bytes that are not compressed are said to be " +
                      std::to_string(header.unpacked));
    return false;
  }
  if (most > 1 && header.unpacked > k_slack &&
      static_cast<std::uint64_t>(header.unpacked) / most >
          static_cast<std::uint64_t>(header.packed) + 16) {
    session_.find(rules_.bomb, body, 0,
                  name_ + ": a page of " + std::to_string(header.packed) +
                      " bytes says that it unpacks to " + std::to_string(header.unpacked));
    return false;
  }
  return true;
}

// Offset of the first value, behind the levels of a data page of version 1.
std::optional<std::uint64_t> ChunkWalk::skip_levels(const PageHeader& header, Source& page,
                                                    std::uint64_t size) {
  if (header.type != 0) return 0;
  std::uint64_t at = 0;
  const auto skip = [&](unsigned level, std::int64_t encoding) {
    if (level == 0) return true;
    if (encoding == 4) { // BIT_PACKED, which has no length
      const auto width = static_cast<std::uint64_t>(std::bit_width(level));
      at += (static_cast<std::uint64_t>(std::max<std::int64_t>(header.values, 0)) * width + 7) / 8;
    } else {
      const auto length = Reader(page.view(at, 4)).le<std::uint32_t>();
      if (!length) return false;
      at += std::uint64_t{4} + *length;
    }
    return at <= size;
  };
  if (!skip(column_.repetition, header.repetition_encoding) ||
      !skip(column_.definition, header.definition_encoding))
    return std::nullopt;
  return at;
}

bool ChunkWalk::plain(Source& page, std::uint64_t at, std::uint64_t end) {
  while (at < end) {
    const Bytes block =
        page.view(at, static_cast<std::size_t>(std::min<std::uint64_t>(k_block, end - at)));
    if (block.size() < 4) return false;
    judge_.look_text(block, name_, page_at_);
    Reader in(block);
    bool moved = false;
    for (;;) {
      const std::uint64_t begin = in.position();
      const auto length = in.le<std::uint32_t>();
      if (!length) break;
      if (in_dictionary_)
        longest_in_dictionary_ = std::max<std::uint64_t>(longest_in_dictionary_, *length);
      const auto value = in.take(*length);
      if (value) {
        judge_.look(*value, name_, page_at_);
        moved = true;
        continue;
      }
      in.seek(begin);
      if (moved) break; // the next block begins with it
      if (*length > end - at - 4) return false;
      judge_.look(page, at + 4, *length, name_, page_at_);
      at += std::uint64_t{4} + *length;
      break;
    }
    at += in.position();
    if (!session_.budget().time_left()) return false;
  }
  return true;
}

bool ChunkWalk::fixed(Source& page, std::uint64_t at, std::uint64_t end) {
  const auto length = static_cast<std::uint64_t>(column_.length);
  const std::uint64_t at_once = std::max<std::uint64_t>(1, k_block / length);
  while (at + length <= end) {
    const std::uint64_t count = std::min(at_once, (end - at) / length);
    if (length > k_block) {
      judge_.look(page, at, length, name_, page_at_);
      at += length;
      continue;
    }
    const Bytes block = page.view(at, static_cast<std::size_t>(count * length));
    if (block.size() < count * length) return false;
    for (std::uint64_t i = 0; i < count; ++i)
      judge_.look(
          block.subspan(static_cast<std::size_t>(i * length), static_cast<std::size_t>(length)),
          name_, page_at_);
    at += count * length;
  }
  return at == end;
}

// BYTE_STREAM_SPLIT: the first bytes of all values, then the second ones.
bool ChunkWalk::split(Source& page, std::uint64_t at, std::uint64_t end) {
  constexpr std::uint64_t k_most = std::uint64_t{32} << 20;
  const auto length = static_cast<std::uint64_t>(column_.length);
  const std::uint64_t size = end - at;
  if (size > k_most) return fail(Reason::budget, page_at_, "a page of split bytes is too large");
  const Bytes bytes = page.view(at, static_cast<std::size_t>(size));
  const std::vector<std::uint8_t> copy(bytes.begin(), bytes.end());
  const std::uint64_t count = size / length;
  if (copy.size() != count * length) return false;
  std::vector<std::uint8_t> value(static_cast<std::size_t>(length));
  for (std::uint64_t i = 0; i < count; ++i) {
    for (std::uint64_t j = 0; j < length; ++j)
      value[static_cast<std::size_t>(j)] = copy[static_cast<std::size_t>(j * count + i)];
    judge_.look(value, name_, page_at_);
  }
  return true;
}

bool ChunkWalk::delta_lengths(Source& page, std::uint64_t at, std::uint64_t end,
                              std::uint64_t values, const std::vector<std::uint64_t>* prefixes) {
  const auto lengths = read_deltas(page, at, end, values);
  if (!lengths || (prefixes != nullptr && prefixes->size() != lengths->size())) return false;
  constexpr std::uint64_t k_longest = std::uint64_t{16} << 20;
  std::vector<std::uint8_t> value;
  for (std::size_t i = 0; i < lengths->size(); ++i) {
    const std::uint64_t length = (*lengths)[i];
    if (length > end - at) return false;
    if (prefixes == nullptr) {
      judge_.look(page, at, length, name_, page_at_);
    } else {
      const std::uint64_t kept = (*prefixes)[i];
      if (kept > value.size()) return false;
      // Small bytes that stand for large values: what they stand for is what they cost.
      if (length + kept > k_longest || !session_.budget().decoded(kept)) {
        fail(Reason::budget, page_at_, "values that repeat each other are too large");
        return true;
      }
      value.resize(static_cast<std::size_t>(kept));
      const Bytes suffix = page.view(at, static_cast<std::size_t>(length));
      value.insert(value.end(), suffix.begin(), suffix.end());
      judge_.look(value, name_, page_at_);
    }
    at += length;
    if (i % 4096 == 0 && !session_.budget().time_left()) return false;
  }
  return at == end;
}

bool ChunkWalk::delta_prefixed(Source& page, std::uint64_t at, std::uint64_t end,
                               std::uint64_t values) {
  const auto prefixes = read_deltas(page, at, end, values);
  return prefixes && delta_lengths(page, at, end, values, &*prefixes);
}

bool ChunkWalk::values(const PageHeader& header, Source& page, std::uint64_t size,
                       std::uint64_t at) {
  const auto count = static_cast<std::uint64_t>(std::max<std::int64_t>(header.values, 0));
  const bool is_fixed = static_cast<Physical>(column_.type) == Physical::fixed;
  switch (header.encoding) {
  case k_plain:
  case k_plain_dictionary: // the values of a dictionary page, by its old name
    return is_fixed ? fixed(page, at, size) : plain(page, at, size);
  case k_byte_stream_split:
    return is_fixed && split(page, at, size);
  case k_delta_length:
  case k_delta_byte_array:
    if (count > k_max_values) return fail(Reason::budget, page_at_, "too many values in a page");
    return header.encoding == k_delta_length ? delta_lengths(page, at, size, count, nullptr)
                                             : delta_prefixed(page, at, size, count);
  default:
    return fail(Reason::unsupported, page_at_, "values of an unknown encoding");
  }
}

bool ChunkWalk::page(const PageHeader& header, std::uint64_t body, std::uint64_t end) {
  if (!sizes_hold(header, body))
    return fail(Reason::malformed, body, "the sizes of a page can't be");
  const bool is_bytes = static_cast<Physical>(column_.type) == Physical::byte_array ||
                        (static_cast<Physical>(column_.type) == Physical::fixed &&
                         column_.length > static_cast<std::int64_t>(k_short_fixed));
  in_dictionary_ = header.type == 2;
  if (header.type == 0 || header.type == 3)
    seen_values_ += static_cast<std::uint64_t>(std::max<std::int64_t>(header.values, 0));
  // Indexes into the dictionary are numbers.
  const bool indexes = !in_dictionary_ && (header.encoding == k_plain_dictionary ||
                                           header.encoding == k_rle_dictionary);
  if (!is_bytes || indexes || header.type == 1) return true;

  auto unpacked = static_cast<std::uint64_t>(header.unpacked);
  std::uint64_t begin = body;
  std::int64_t codec = chunk_.codec;
  if (header.type == 3) {
    if (header.definition_bytes < 0 || header.repetition_bytes < 0)
      return fail(Reason::malformed, body, "levels of a negative length");
    const auto levels =
        static_cast<std::uint64_t>(header.definition_bytes + header.repetition_bytes);
    if (levels > end - body || levels > unpacked)
      return fail(Reason::malformed, body, "levels that don't fit into their page");
    begin += levels;
    unpacked -= levels;
    if (!header.compressed) codec = 0;
  }
  if (begin == end) return true; // only nulls
  auto decoder = decoder_of(codec, source_, begin, end);
  if (!decoder)
    return fail(Reason::unsupported, body,
                "pages are compressed in a way that hubgate does not read");
  DecodedSource content(std::move(decoder), session_.budget());
  const auto first = skip_levels(header, content, unpacked);
  const bool fine = first && values(header, content, unpacked, *first);
  const std::uint64_t made = content.wait_end();
  if (content.fault() == Fault::budget || !session_.budget().time_left()) {
    if (session_.budget().is_bomb())
      session_.find(rules_.bomb, body, 0, name_ + ": its pages unpack to more than is honest");
    return fail(Reason::budget, body, "unpacking pages spent the budget");
  }
  if (content.fault() == Fault::unsupported)
    return fail(Reason::unsupported, body, "a page uses a variant of its codec that is not read");
  if (made != unpacked) {
    session_.find(rules_.size, body, 0,
                  name_ + ": a page says that it unpacks to " + std::to_string(unpacked) +
                      " bytes and unpacks to " + std::to_string(made));
    return fail(Reason::malformed, body, "a page of another size than it says");
  }
  if (!fine) return fail(Reason::malformed, body, "the values of a page can't be read");
  return true;
}

bool ChunkWalk::run(std::uint64_t begin, std::uint64_t end) {
  bool fine = true;
  for (std::uint64_t at = begin; at < end;) {
    page_at_ = at;
    std::optional<PageHeader> header;
    for (const std::size_t room: {std::size_t{512}, k_max_header}) {
      const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(room, end - at));
      header = read_page_header(source_.view(at, n));
      if (header) break;
    }
    if (!header || header->packed < 0 || header->unpacked < 0 || header->type < 0 ||
        header->type > 3) {
      session_.find(rules_.offset, at, 0, name_ + ": no page begins where one should");
      return fail(Reason::malformed, at, "no page begins where one should");
    }
    const std::uint64_t body = at + header->length;
    if (static_cast<std::uint64_t>(header->packed) > end - body) {
      session_.find(rules_.offset, at, 0, name_ + ": a page reaches beyond its column chunk");
      return fail(Reason::malformed, at, "a page reaches beyond its column chunk");
    }
    const std::uint64_t next = body + static_cast<std::uint64_t>(header->packed);
    fine = page(*header, body, next) && fine;
    at = next;
    if (!session_.budget().time_left()) return fail(Reason::budget, at, "out of time");
  }
  // A value that stands once in the dictionary and is named a billion times.
  const Limits& limits = session_.limits();
  const std::uint64_t size = source_.size().value_or(0);
  std::uint64_t grown = 0;
  if (__builtin_mul_overflow(longest_in_dictionary_, seen_values_, &grown) ||
      (grown > limits.decoded_bytes && grown / limits.ratio > size))
    session_.find(rules_.bomb, begin, 0,
                  name_ + ": " + std::to_string(seen_values_) + " rows may repeat a value of " +
                      std::to_string(longest_in_dictionary_) + " bytes");
  return fine;
}

} // namespace hubgate::parquet
