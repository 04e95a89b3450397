#include "scanner/formats/sevenzip/header.hpp"

#include "scanner/codecs/codecs.hpp"
#include "scanner/core/reader.hpp"

#include <algorithm>

namespace hubgate::sevenzip {
namespace {

enum Property : std::uint8_t {
  k_end = 0x00,
  k_header = 0x01,
  k_archive_properties = 0x02,
  k_additional_streams = 0x03,
  k_main_streams = 0x04,
  k_files = 0x05,
  k_pack_info = 0x06,
  k_unpack_info = 0x07,
  k_substreams = 0x08,
  k_size = 0x09,
  k_crc = 0x0a,
  k_folder = 0x0b,
  k_unpack_sizes = 0x0c,
  k_stream_counts = 0x0d,
  k_empty_stream = 0x0e,
  k_empty_file = 0x0f,
  k_anti = 0x10,
  k_names = 0x11,
  k_attributes = 0x15,
  k_encoded_header = 0x17,
};

constexpr std::size_t k_coders = 32; ///< of one folder, as the SDK bounds them
constexpr std::size_t k_coder_io = 32;

// Thrown never; a failed read makes every later one fail, and parse_header looks once at the end.
class Parser {
public:
  Parser(Bytes bytes, std::uint64_t limit) : reader_(bytes), limit_(limit) {}

  bool ok() const { return failure_ == Failure::none; }
  Failure failure() const { return failure_; }
  void fail(Failure failure) {
    if (ok()) failure_ = failure;
  }

  std::uint8_t byte() {
    const auto value = reader_.le<std::uint8_t>();
    if (!value) fail(Failure::malformed);
    return value.value_or(0);
  }

  // A number of one to nine bytes: leading ones of the first byte say how many follow.
  std::uint64_t number() {
    const std::uint8_t first = byte();
    std::uint64_t value = 0;
    std::uint8_t mask = 0x80;
    for (unsigned i = 0; i < 8; ++i, mask = static_cast<std::uint8_t>(mask >> 1)) {
      if ((first & mask) == 0) {
        const std::uint64_t high = first & (mask - 1u);
        return value + (high << (8 * i));
      }
      value |= std::uint64_t{byte()} << (8 * i);
    }
    return value;
  }

  /// A number of things of which each takes at least `each` bits of the header.
  std::uint64_t count(std::uint64_t each_bits) {
    const std::uint64_t value = number();
    if (value > limit_) fail(Failure::too_large);
    if (each_bits != 0 && value / 8 * each_bits > reader_.remaining()) fail(Failure::malformed);
    return ok() ? value : 0;
  }

  std::uint32_t word() {
    const auto value = reader_.le<std::uint32_t>();
    if (!value) fail(Failure::malformed);
    return value.value_or(0);
  }

  Bytes take(std::uint64_t n) {
    const auto bytes = ok() ? reader_.take(n) : std::nullopt;
    if (!bytes) fail(Failure::malformed);
    return bytes.value_or(Bytes{});
  }

  void expect(std::uint8_t wanted) {
    if (byte() != wanted) fail(Failure::malformed);
  }

  std::vector<bool> bits(std::uint64_t n) {
    std::vector<bool> out;
    const Bytes bytes = take((n + 7) / 8);
    if (!ok()) return out;
    out.reserve(static_cast<std::size_t>(n));
    for (std::uint64_t i = 0; i < n; ++i)
      out.push_back((bytes[static_cast<std::size_t>(i / 8)] & (0x80u >> (i % 8))) != 0);
    return out;
  }

  /// One flag an item; a first byte that is not zero means all.
  std::vector<bool> optional_bits(std::uint64_t n) {
    if (byte() != 0) return std::vector<bool>(ok() ? static_cast<std::size_t>(n) : 0, true);
    return bits(n);
  }

  std::vector<std::optional<std::uint32_t>> digests(std::uint64_t n) {
    std::vector<std::optional<std::uint32_t>> out;
    for (const bool defined: optional_bits(n))
      out.push_back(defined ? std::optional(word()) : std::nullopt);
    return out;
  }

  std::uint64_t position() const { return reader_.position(); }
  void seek(std::uint64_t position) {
    if (!reader_.seek(position)) fail(Failure::malformed);
  }

private:
  Reader reader_;
  std::uint64_t limit_;
  Failure failure_ = Failure::none;
};

void parse_pack_info(Parser& in, Streams& streams) {
  std::uint64_t offset = in.number();
  const std::uint64_t n = in.count(0);
  std::uint8_t id = in.byte();
  if (id == k_size) {
    for (std::uint64_t i = 0; i < n && in.ok(); ++i) {
      const std::uint64_t size = in.number();
      streams.packed.push_back({offset, size});
      if (offset + size < offset) in.fail(Failure::malformed);
      offset += size;
    }
    id = in.byte();
  }
  if (id == k_crc) {
    in.digests(n);
    id = in.byte();
  }
  if (id != k_end || streams.packed.size() != n) in.fail(Failure::malformed);
}

Folder parse_folder(Parser& in) {
  Folder folder;
  const std::uint64_t coders = in.number();
  if (coders == 0 || coders > k_coders) in.fail(Failure::malformed);
  std::uint64_t inputs = 0;
  std::uint64_t outputs = 0;
  for (std::uint64_t i = 0; i < coders && in.ok(); ++i) {
    Coder coder;
    const std::uint8_t flags = in.byte();
    if ((flags & 0xc0) != 0 || (flags & 15) > 8) in.fail(Failure::malformed);
    for (const std::uint8_t c: in.take(flags & 15u))
      coder.id = (coder.id << 8) | c;
    if ((flags & 0x10) != 0) {
      coder.inputs = in.number();
      coder.outputs = in.number();
    }
    if (coder.inputs > k_coder_io || coder.outputs != 1) in.fail(Failure::malformed);
    if ((flags & 0x20) != 0) {
      const Bytes properties = in.take(in.number());
      coder.properties.assign(properties.begin(), properties.end());
    }
    inputs += coder.inputs;
    outputs += coder.outputs;
    folder.coders.push_back(std::move(coder));
  }
  if (outputs == 0 || inputs < outputs - 1) in.fail(Failure::malformed);
  for (std::uint64_t i = 0; i + 1 < outputs && in.ok(); ++i) {
    const std::uint64_t input = in.number();
    const std::uint64_t output = in.number();
    if (input >= inputs || output >= outputs) in.fail(Failure::malformed);
    folder.bonds.emplace_back(input, output);
  }
  if (!in.ok()) return folder;
  const std::uint64_t packed = inputs - (outputs - 1);
  if (packed == 1) {
    for (std::uint64_t i = 0; i < inputs; ++i)
      if (std::none_of(folder.bonds.begin(), folder.bonds.end(),
                       [i](const auto& bond) { return bond.first == i; }))
        folder.packed_inputs.push_back(i);
  } else {
    for (std::uint64_t i = 0; i < packed && in.ok(); ++i)
      folder.packed_inputs.push_back(in.number());
  }
  if (folder.packed_inputs.size() != packed) in.fail(Failure::malformed);
  return folder;
}

void parse_unpack_info(Parser& in, Streams& streams) {
  in.expect(k_folder);
  const std::uint64_t n = in.count(24);
  if (in.byte() != 0) in.fail(Failure::unsupported); // in an additional stream
  std::uint64_t pack_stream = 0;
  for (std::uint64_t i = 0; i < n && in.ok(); ++i) {
    streams.folders.push_back(parse_folder(in));
    streams.folders.back().first_pack_stream = pack_stream;
    pack_stream += streams.folders.back().packed_inputs.size();
  }
  if (pack_stream > streams.packed.size()) in.fail(Failure::malformed);
  in.expect(k_unpack_sizes);
  for (Folder& folder: streams.folders)
    for (std::size_t i = 0; i < folder.coders.size() && in.ok(); ++i)
      folder.unpack_sizes.push_back(in.number());
  std::uint8_t id = in.byte();
  if (id == k_crc) {
    const auto digests = in.digests(n);
    for (std::size_t i = 0; i < digests.size() && in.ok(); ++i)
      streams.folders[i].crc = digests[i];
    id = in.byte();
  }
  if (id != k_end) in.fail(Failure::malformed);
}

// How the folders' bytes are cut into files.
void parse_substreams(Parser& in, Streams& streams, std::uint64_t limit) {
  std::uint8_t id = in.byte();
  std::vector<std::uint64_t> counts(streams.folders.size(), 1);
  if (id == k_stream_counts) {
    std::uint64_t sum = 0;
    for (auto& n: counts) {
      n = in.count(0);
      sum += n;
      if (sum > limit) in.fail(Failure::too_large);
    }
    id = in.byte();
  }
  const bool has_sizes = id == k_size;
  for (std::size_t f = 0; f < counts.size() && in.ok(); ++f) {
    Folder& folder = streams.folders[f];
    std::uint64_t left = folder.size();
    for (std::uint64_t i = 0; i < counts[f] && in.ok(); ++i) {
      std::uint64_t size = left; // the last one takes the rest
      if (i + 1 < counts[f]) {
        if (!has_sizes) in.fail(Failure::malformed);
        size = in.number();
      }
      if (size > left) in.fail(Failure::malformed);
      left -= std::min(left, size);
      folder.streams.push_back({size, std::nullopt});
    }
    if (folder.streams.size() == 1) folder.streams[0].crc = folder.crc;
  }
  if (has_sizes) id = in.byte();
  if (id == k_crc) {
    std::vector<Folder::Stream*> unknown;
    for (Folder& folder: streams.folders)
      for (Folder::Stream& stream: folder.streams)
        if (!stream.crc) unknown.push_back(&stream);
    const auto digests = in.digests(unknown.size());
    for (std::size_t i = 0; i < digests.size() && in.ok(); ++i)
      unknown[i]->crc = digests[i];
    id = in.byte();
  }
  if (id != k_end) in.fail(Failure::malformed);
}

void parse_streams(Parser& in, Streams& streams, std::uint64_t limit) {
  std::uint8_t id = in.byte();
  if (id == k_pack_info) {
    parse_pack_info(in, streams);
    id = in.byte();
  }
  if (id == k_unpack_info) {
    parse_unpack_info(in, streams);
    id = in.byte();
  }
  if (id == k_substreams) {
    parse_substreams(in, streams, limit);
    id = in.byte();
  } else {
    for (Folder& folder: streams.folders)
      folder.streams.push_back({folder.size(), folder.crc});
  }
  if (id != k_end) in.fail(Failure::malformed);
}

void append_utf8(std::string& out, std::uint32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xc0 | c >> 6);
    out += static_cast<char>(0x80 | (c & 63));
  } else if (c < 0x10000) {
    out += static_cast<char>(0xe0 | c >> 12);
    out += static_cast<char>(0x80 | (c >> 6 & 63));
    out += static_cast<char>(0x80 | (c & 63));
  } else {
    out += static_cast<char>(0xf0 | c >> 18);
    out += static_cast<char>(0x80 | (c >> 12 & 63));
    out += static_cast<char>(0x80 | (c >> 6 & 63));
    out += static_cast<char>(0x80 | (c & 63));
  }
}

void parse_names(Parser& in, std::vector<File>& files) {
  if (in.byte() != 0) in.fail(Failure::unsupported);
  for (File& file: files) {
    std::uint32_t high = 0;
    while (in.ok()) {
      const Bytes unit = in.take(2);
      if (!in.ok()) return;
      const auto c = static_cast<std::uint32_t>(unit[0] | unit[1] << 8);
      if (high != 0) {
        const bool pair = c >= 0xdc00 && c < 0xe000;
        append_utf8(file.name, pair ? 0x10000 + ((high - 0xd800) << 10) + (c - 0xdc00) : high);
        high = 0;
        if (pair) continue;
      }
      if (c == 0) break;
      if (c >= 0xd800 && c < 0xdc00)
        high = c;
      else
        append_utf8(file.name, c);
    }
  }
}

void parse_files(Parser& in, std::vector<File>& files) {
  // Two bytes of name each at least, but the names are optional: bound by the limit alone.
  files.resize(static_cast<std::size_t>(in.count(0)));
  std::vector<bool> empty;
  const auto to_empty = [&](const std::vector<bool>& bits, auto set) {
    std::size_t i = 0;
    for (std::size_t f = 0; f < files.size(); ++f)
      if (f < empty.size() && empty[f]) {
        if (i < bits.size()) set(files[f], bits[i]);
        ++i;
      }
  };
  while (in.ok()) {
    const std::uint8_t type = in.byte();
    if (type == k_end || !in.ok()) return;
    const std::uint64_t size = in.number();
    const std::uint64_t begin = in.position();
    const auto empties = static_cast<std::uint64_t>(std::count(empty.begin(), empty.end(), true));
    switch (type) {
    case k_empty_stream:
      empty = in.bits(files.size());
      for (std::size_t f = 0; f < empty.size(); ++f) {
        files[f].has_stream = !empty[f];
        files[f].directory = empty[f];
      }
      break;
    case k_empty_file:
      to_empty(in.bits(empties), [](File& file, bool bit) { file.directory = !bit; });
      break;
    case k_anti:
      to_empty(in.bits(empties), [](File& file, bool bit) { file.anti = bit; });
      break;
    case k_names:
      parse_names(in, files);
      break;
    case k_attributes: {
      const auto defined = in.optional_bits(files.size());
      if (in.byte() != 0) in.fail(Failure::unsupported);
      for (std::size_t f = 0; f < defined.size() && in.ok(); ++f)
        if (defined[f]) files[f].attributes = in.word();
      break;
    }
    default:
      break; // times, padding
    }
    if (size > ~begin) in.fail(Failure::malformed);
    if (in.ok()) in.seek(begin + size);
  }
}

} // namespace

std::optional<SignatureHeader> read_signature_header(Bytes bytes) {
  if (bytes.size() < k_signature_header || !starts_with(bytes, k_magic)) return std::nullopt;
  Reader reader(bytes.subspan(8, 24));
  SignatureHeader header;
  header.crc_right = reader.le<std::uint32_t>().value_or(0) == crc32_of(bytes.subspan(12, 20));
  header.next_offset = reader.le<std::uint64_t>().value_or(0);
  header.next_size = reader.le<std::uint64_t>().value_or(0);
  header.next_crc = reader.le<std::uint32_t>().value_or(0);
  return header;
}

std::uint64_t Folder::size() const {
  // The output that no input is bound to.
  for (std::size_t i = 0; i < unpack_sizes.size(); ++i)
    if (std::none_of(bonds.begin(), bonds.end(),
                     [i](const auto& bond) { return bond.second == i; }))
      return unpack_sizes[i];
  return 0;
}

std::optional<std::vector<const Coder*>> Folder::chain() const {
  // With one input and one output each, a coder's number is that of both.
  for (const Coder& coder: coders)
    if (coder.inputs != 1) return std::nullopt;
  if (packed_inputs.size() != 1) return std::nullopt;
  std::vector<const Coder*> out;
  std::uint64_t at = coders.size();
  for (std::size_t i = 0; i < coders.size(); ++i)
    if (std::none_of(bonds.begin(), bonds.end(),
                     [i](const auto& bond) { return bond.second == i; }))
      at = i;
  while (at < coders.size() && out.size() < coders.size()) {
    out.push_back(&coders[static_cast<std::size_t>(at)]);
    const auto bond =
        std::find_if(bonds.begin(), bonds.end(), [at](const auto& b) { return b.first == at; });
    if (bond == bonds.end()) break;
    at = bond->second;
  }
  if (out.size() != coders.size()) return std::nullopt;
  return out;
}

ParsedHeader parse_header(Bytes bytes, std::uint64_t limit) {
  ParsedHeader out;
  Parser in(bytes, limit);
  Header& header = out.header;
  std::uint8_t id = in.byte();
  if (id == k_encoded_header) {
    header.encoded = true;
    parse_streams(in, header.streams, limit);
    out.failure = in.failure();
    return out;
  }
  if (id != k_header) in.fail(Failure::malformed);
  id = in.byte();
  if (id == k_archive_properties) {
    while (in.ok() && in.byte() != k_end)
      in.take(in.number());
    id = in.byte();
  }
  if (id == k_additional_streams) in.fail(Failure::unsupported);
  if (id == k_main_streams) {
    parse_streams(in, header.streams, limit);
    id = in.byte();
  }
  if (id == k_files) {
    parse_files(in, header.files);
    id = in.byte();
  }
  if (id != k_end) in.fail(Failure::malformed);
  out.failure = in.failure();
  return out;
}

} // namespace hubgate::sevenzip
