#include "scanner/formats/hdf5/dataset.hpp"

#include "scanner/codecs/codecs.hpp"

#include <algorithm>
#include <array>
#include <bit>

namespace hubgate::hdf5 {
namespace {

// Registered filters (The HDF Group's list): libraries that are installed by hand.
constexpr std::array<std::uint16_t, 2> k_old_registered{305, 307};

std::optional<std::vector<std::uint8_t>> inflate(const std::vector<std::uint8_t>& in,
                                                 std::uint64_t size, Budget& budget) {
  MemorySource source(in);
  const DecoderPtr decoder = decode_zlib(source, 0);
  std::vector<std::uint8_t> out(static_cast<std::size_t>(size));
  std::size_t have = 0;
  while (have < out.size()) {
    const std::size_t n = decoder->produce(std::span(out).subspan(have));
    if (n == 0) break;
    have += n;
  }
  out.resize(have);
  if (have == 0 || !budget.decoded(have)) return std::nullopt;
  return out;
}

// LZF as h5py ships it: literal runs of up to 32 bytes, and references of up to 264 bytes back 8
// KiB.
std::optional<std::vector<std::uint8_t>> unlzf(const std::vector<std::uint8_t>& in,
                                               std::uint64_t size) {
  std::vector<std::uint8_t> out;
  for (std::size_t at = 0; at < in.size();) {
    const std::size_t control = in[at++];
    if (control < 32) {
      const std::size_t n = control + 1;
      if (n > in.size() - at || out.size() + n > size) return std::nullopt;
      out.insert(out.end(), in.begin() + static_cast<std::ptrdiff_t>(at),
                 in.begin() + static_cast<std::ptrdiff_t>(at + n));
      at += n;
      continue;
    }
    std::size_t length = control >> 5;
    if (length == 7) {
      if (at >= in.size()) return std::nullopt;
      length += in[at++];
    }
    if (at >= in.size()) return std::nullopt;
    const std::size_t back = ((control & 31) << 8 | in[at++]) + 1;
    length += 2;
    if (back > out.size() || out.size() + length > size) return std::nullopt;
    for (std::size_t i = 0; i < length; ++i)
      out.push_back(out[out.size() - back]);
  }
  return out;
}

std::vector<std::uint8_t> unshuffle(const std::vector<std::uint8_t>& in, std::size_t width) {
  if (width < 2 || in.size() < width) return in;
  std::vector<std::uint8_t> out(in.size());
  const std::size_t count = in.size() / width;
  for (std::size_t byte = 0; byte < width; ++byte)
    for (std::size_t i = 0; i < count; ++i)
      out[i * width + byte] = in[byte * count + i];
  std::copy(in.begin() + static_cast<std::ptrdiff_t>(count * width), in.end(),
            out.begin() + static_cast<std::ptrdiff_t>(count * width));
  return out;
}

// A chunk as its index has it.
struct Chunk {
  std::uint64_t address;
  std::uint64_t size;
  std::uint32_t mask;
};

// An extensible array: an index block, then data blocks of growing size, the later ones below
// super blocks.
struct Extensible {
  bool filtered = false;
  std::size_t width = 0;      ///< of an element
  unsigned bits = 0;          ///< of the number of elements
  std::uint64_t first = 0;    ///< elements in the index block
  std::uint64_t least = 0;    ///< elements of the smallest data block
  std::uint64_t pointers = 0; ///< data blocks of the smallest super block
  std::uint64_t page = 0;     ///< elements of a page of a large data block

  std::uint64_t blocks(unsigned super) const { return std::uint64_t{1} << (super / 2); }
  std::uint64_t elements(unsigned super) const { return least << ((super + 1) / 2); }
};

class ChunkReader {
public:
  ChunkReader(File& file, Storage& storage, const DatasetInfo& info, bool collect, Budget& budget)
      : file_(file), storage_(storage), info_(info), collect_(collect), budget_(budget) {}
  RawData run();

private:
  void visit(const Chunk& chunk);
  void fixed_array(std::uint64_t address);
  void extensible_array(std::uint64_t address);
  void data_block(const Extensible& array, std::uint64_t address, std::uint64_t count);
  void super_block(const Extensible& array, std::uint64_t address, std::uint64_t blocks,
                   std::uint64_t count);
  void run_of_elements(std::uint64_t at, std::uint64_t count, std::size_t width, bool filtered);
  void elements(Reader& reader, std::uint64_t count, std::size_t width, bool filtered);
  void tree(std::uint64_t address);
  std::uint64_t chunk_count() const;

  File& file_;
  Storage& storage_;
  const DatasetInfo& info_;
  bool collect_;
  Budget& budget_;
  std::uint64_t chunk_bytes_ = 0;
  RawData out_;
};

std::uint64_t ChunkReader::chunk_count() const {
  std::uint64_t product = 1;
  const auto& sizes = info_.space.dimensions;
  for (std::size_t i = 0; i < sizes.size() && i < info_.layout.chunk.size(); ++i) {
    const std::uint64_t chunk = std::max<std::uint64_t>(info_.layout.chunk[i], 1);
    const std::uint64_t n = sizes[i] / chunk + (sizes[i] % chunk != 0 ? 1 : 0);
    if (__builtin_mul_overflow(product, n, &product)) return k_undefined;
  }
  return product;
}

void ChunkReader::visit(const Chunk& chunk) {
  if (chunk.address == k_undefined || chunk.size == 0) return;
  if (!file_.holds(chunk.address, chunk.size))
    return storage_.fail(Trouble::Kind::truncated, chunk.address, "a chunk ends behind the file");
  file_.account(chunk.address, chunk.size, true);
  if (out_.first == k_undefined) out_.first = chunk.address;
  out_.stored += chunk.size;
  if (!collect_ || out_.undecoded || out_.cut) return;
  if (out_.collected.size() + chunk_bytes_ > k_max_collected || chunk.size > k_max_collected) {
    out_.cut = true;
    return;
  }
  auto bytes = file_.read(chunk.address, chunk.size);
  if (!bytes) return;
  const auto plain = undo(std::move(*bytes), info_.filters, chunk.mask, chunk_bytes_, budget_);
  if (!plain) {
    out_.undecoded = true;
    return;
  }
  out_.collected.insert(out_.collected.end(), plain->begin(), plain->end());
}

void ChunkReader::elements(Reader& reader, std::uint64_t count, std::size_t width, bool filtered) {
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto raw = reader.take(width);
    if (!raw) return;
    Reader one(*raw);
    const auto address = file_.offset(one);
    if (!address) return;
    if (!filtered) {
      visit({*address, chunk_bytes_, 0});
      continue;
    }
    const std::size_t size_width = width - file_.superblock().offset_size - 4;
    const auto size = File::number(one, size_width);
    const auto mask = one.le<std::uint32_t>();
    if (!size || !mask) return;
    visit({*address, *size, *mask});
  }
}

void ChunkReader::fixed_array(std::uint64_t address) {
  const auto& block = file_.superblock();
  const std::size_t size = 12U + block.length_size + block.offset_size;
  const auto head = file_.read(address, size);
  if (!head || !starts_with(*head, "FAHD"))
    return storage_.fail(Trouble::Kind::malformed, address,
                         "no index of chunks is where one should be");
  file_.account(address, size);
  storage_.summed(*head, address);
  Reader reader(*head);
  reader.skip(5);
  const bool filtered = reader.le<std::uint8_t>() == std::uint8_t{1};
  const std::size_t width = reader.le<std::uint8_t>().value_or(0);
  const unsigned page_bits = reader.le<std::uint8_t>().value_or(0);
  const std::uint64_t count = file_.length(reader).value_or(0);
  const std::uint64_t data = file_.offset(reader).value_or(k_undefined);
  if (data == k_undefined) return;
  const std::size_t least = block.offset_size + (filtered ? 5U : 0U);
  if (width < least || width > 32 || page_bits > 32 || !file_.holds(data, count / 8))
    return storage_.fail(Trouble::Kind::malformed, address,
                         "an index of chunks has impossible sizes");
  const std::uint64_t page = std::uint64_t{1} << page_bits;
  const std::uint64_t front = 6U + block.offset_size;
  const bool paged = count > page;
  const std::uint64_t pages = paged ? (count + page - 1) / page : 0;
  const std::uint64_t body =
      paged ? (pages + 7) / 8 + 4 + count * width + pages * 4 : count * width + 4;
  if (count > file_.size() / width || !file_.holds(data, front + body))
    return storage_.fail(Trouble::Kind::truncated, data, "an index of chunks is cut");
  file_.account(data, front + body);
  std::uint64_t at = data + front + (paged ? (pages + 7) / 8 + 4 : 0);
  for (std::uint64_t done = 0; done < count; done += page) {
    const std::uint64_t here = std::min(page, count - done);
    run_of_elements(at, here, width, filtered);
    at += here * width + 4;
  }
}

void ChunkReader::run_of_elements(std::uint64_t at, std::uint64_t count, std::size_t width,
                                  bool filtered) {
  for (std::uint64_t done = 0; done < count;) {
    const std::uint64_t n = std::min<std::uint64_t>(4096, count - done);
    const auto bytes = file_.read(at, n * width);
    if (!bytes) return;
    Reader items(*bytes);
    elements(items, n, width, filtered);
    at += n * width;
    done += n;
  }
}

void ChunkReader::data_block(const Extensible& array, std::uint64_t address, std::uint64_t count) {
  if (address == k_undefined) return;
  const std::uint64_t front = 6ULL + file_.superblock().offset_size + (array.bits + 7) / 8;
  const bool paged = count > array.page;
  const std::uint64_t pages = paged ? count / array.page : 0;
  if (count > file_.size() / array.width)
    return storage_.fail(Trouble::Kind::truncated, address, "an index of chunks is cut");
  const std::uint64_t size = front + count * array.width + 4 + pages * 4;
  const auto magic = file_.read(address, 4);
  if (!magic || !starts_with(*magic, "EADB") || !file_.holds(address, size))
    return storage_.fail(Trouble::Kind::malformed, address,
                         "no block of an index of chunks is where one should be");
  if (!file_.first_visit(address))
    return storage_.fail(Trouble::Kind::cycle, address, "an index of chunks has a block twice");
  file_.account(address, size);
  std::uint64_t at = address + front;
  if (!paged) return run_of_elements(at, count, array.width, array.filtered);
  at += 4;
  for (std::uint64_t i = 0; i < pages; ++i, at += array.page * array.width + 4)
    run_of_elements(at, array.page, array.width, array.filtered);
}

void ChunkReader::super_block(const Extensible& array, std::uint64_t address, std::uint64_t blocks,
                              std::uint64_t count) {
  if (address == k_undefined) return;
  const auto& block = file_.superblock();
  const std::uint64_t pages = count > array.page ? count / array.page : 0;
  const std::uint64_t front =
      6ULL + block.offset_size + (array.bits + 7) / 8 + blocks * ((pages + 7) / 8);
  const std::uint64_t size = front + blocks * block.offset_size + 4;
  const auto bytes = size <= file_.size() ? file_.read(address, size) : std::nullopt;
  if (!bytes || !starts_with(*bytes, "EASB"))
    return storage_.fail(Trouble::Kind::malformed, address,
                         "no block of an index of chunks is where one should be");
  if (!file_.first_visit(address))
    return storage_.fail(Trouble::Kind::cycle, address, "an index of chunks has a block twice");
  file_.account(address, size);
  storage_.summed(*bytes, address);
  Reader reader(*bytes);
  reader.skip(front);
  for (std::uint64_t i = 0; i < blocks; ++i)
    data_block(array, file_.offset(reader).value_or(k_undefined), count);
}

void ChunkReader::extensible_array(std::uint64_t address) {
  const auto& block = file_.superblock();
  const std::size_t size = 16U + 6U * block.length_size + block.offset_size;
  const auto head = file_.read(address, size);
  if (!head || !starts_with(*head, "EAHD"))
    return storage_.fail(Trouble::Kind::malformed, address,
                         "no index of chunks is where one should be");
  file_.account(address, size);
  storage_.summed(*head, address);
  Reader reader(*head);
  reader.skip(5);
  const auto byte = [&] { return reader.le<std::uint8_t>().value_or(0); };
  Extensible array;
  array.filtered = byte() == 1;
  array.width = byte();
  array.bits = byte();
  array.first = byte();
  array.least = byte();
  array.pointers = byte();
  const unsigned page_bits = byte();
  for (int i = 0; i < 6; ++i)
    file_.length(reader);
  const std::uint64_t index = file_.offset(reader).value_or(k_undefined);
  if (index == k_undefined) return;
  const std::size_t least = block.offset_size + (array.filtered ? 5U : 0U);
  if (array.width < least || array.width > 32 || array.bits > 64 || page_bits > 32 ||
      !std::has_single_bit(array.least) || !std::has_single_bit(array.pointers))
    return storage_.fail(Trouble::Kind::malformed, address,
                         "an index of chunks has impossible sizes");
  array.page = std::uint64_t{1} << page_bits;
  const auto log2 = [](std::uint64_t n) { return static_cast<unsigned>(std::bit_width(n)) - 1; };
  const unsigned supers = 1 + array.bits - std::min(array.bits, log2(array.least));
  const unsigned direct_supers = 2 * log2(array.pointers);
  const std::uint64_t direct = 2 * (array.pointers - 1);
  const std::uint64_t below = supers > direct_supers ? supers - direct_supers : 0;
  const std::uint64_t front = 6ULL + block.offset_size;
  const std::uint64_t whole =
      front + array.first * array.width + (direct + below) * block.offset_size + 4;
  const auto bytes = file_.read(index, whole);
  if (!bytes || !starts_with(*bytes, "EAIB"))
    return storage_.fail(Trouble::Kind::malformed, index,
                         "no index of chunks is where one should be");
  file_.account(index, whole);
  storage_.summed(*bytes, index);
  Reader body(*bytes);
  body.skip(front);
  elements(body, array.first, array.width, array.filtered);
  std::uint64_t done = 0;
  for (unsigned super = 0; done < direct; ++super)
    for (std::uint64_t i = 0; i < array.blocks(super) && done < direct; ++i, ++done)
      data_block(array, file_.offset(body).value_or(k_undefined), array.elements(super));
  for (unsigned super = direct_supers; super < supers; ++super) {
    const std::uint64_t child = file_.offset(body).value_or(k_undefined);
    super_block(array, child, array.blocks(super), array.elements(super));
  }
}

void ChunkReader::tree(std::uint64_t address) {
  const auto& block = file_.superblock();
  const std::size_t rank = info_.layout.chunk.size();
  const std::size_t plain = block.offset_size + 8 * rank;
  storage_.records(address, [&](Bytes record) {
    if (record.size() < plain) return;
    Reader one(record);
    const auto chunk = file_.offset(one);
    if (record.size() == plain) {
      visit({*chunk, chunk_bytes_, 0});
      return;
    }
    const auto size = File::number(one, record.size() - plain - 4);
    const auto mask = one.le<std::uint32_t>();
    if (size && mask) visit({*chunk, *size, *mask});
  });
}

RawData ChunkReader::run() {
  const Layout& layout = info_.layout;
  chunk_bytes_ = info_.type.size;
  for (const std::uint64_t size: layout.chunk)
    if (__builtin_mul_overflow(chunk_bytes_, size, &chunk_bytes_)) chunk_bytes_ = k_undefined >> 1;
  if (layout.address == k_undefined) return std::move(out_);
  switch (layout.index) {
  case Layout::Index::btree1:
    storage_.chunks(layout.address, layout.chunk.size(),
                    [&](std::uint64_t address, std::uint64_t size, std::uint32_t mask) {
                      visit({address, size, mask});
                    });
    break;
  case Layout::Index::single:
    visit({layout.address, layout.single_size != 0 ? layout.single_size : chunk_bytes_, 0});
    break;
  case Layout::Index::implicit: {
    const std::uint64_t count = chunk_count();
    std::uint64_t all = 0;
    if (__builtin_mul_overflow(count, chunk_bytes_, &all) || !file_.holds(layout.address, all))
      storage_.fail(Trouble::Kind::truncated, layout.address, "chunks end behind the file");
    else
      for (std::uint64_t i = 0; i < count && chunk_bytes_ != 0; ++i)
        visit({layout.address + i * chunk_bytes_, chunk_bytes_, 0});
    break;
  }
  case Layout::Index::fixed:
    fixed_array(layout.address);
    break;
  case Layout::Index::btree2:
    tree(layout.address);
    break;
  case Layout::Index::extensible:
    extensible_array(layout.address);
    break;
  case Layout::Index::none:
    out_.index_known = false;
    break;
  }
  return std::move(out_);
}

// Behind a selection as H5Sencode writes it; false when it is of a kind that is not known here.
bool skip_selection(Reader& reader) {
  const auto type = reader.le<std::uint32_t>();
  const auto version = reader.le<std::uint32_t>();
  if (!type || !version) return false;
  if (*type == 0 || *type == 3) return reader.skip(8); // none, all
  if (*version == 1) {
    if (!reader.skip(4)) return false;
    const auto length = reader.le<std::uint32_t>();
    return length && reader.skip(*length);
  }
  if (*type != 2) return false;
  const auto flags = reader.le<std::uint8_t>();
  if (!flags) return false;
  if (*version == 2) {
    const auto length = reader.le<std::uint32_t>();
    return length && reader.skip(*length);
  }
  const auto width = reader.le<std::uint8_t>();
  const auto rank = reader.le<std::uint32_t>();
  if (!width || *width > 8 || !rank || *rank > 32) return false;
  if ((*flags & 1) != 0) return reader.skip(4ULL * *rank * *width);
  const auto blocks = File::number(reader, *width);
  return blocks && *blocks <= reader.remaining() && reader.skip(*blocks * 2 * *rank * *width);
}

} // namespace

FilterKind kind_of(std::uint16_t filter) {
  constexpr std::uint16_t k_lzf = 32000;
  if ((filter >= 1 && filter <= 3) || filter == k_lzf) return FilterKind::decoded;
  if (filter >= 4 && filter <= 6) return FilterKind::known;
  if (std::find(k_old_registered.begin(), k_old_registered.end(), filter) != k_old_registered.end())
    return FilterKind::registered;
  constexpr std::uint16_t k_last_registered = 32040;
  return filter > k_lzf && filter <= k_last_registered ? FilterKind::registered
                                                       : FilterKind::unknown;
}

std::optional<std::vector<std::uint8_t>> undo(std::vector<std::uint8_t> bytes,
                                              const std::vector<Filter>& filters,
                                              std::uint32_t mask, std::uint64_t decoded,
                                              Budget& budget) {
  for (std::size_t i = filters.size(); i-- > 0;) {
    if (i < 32 && (mask >> i & 1) != 0) continue;
    const Filter& filter = filters[i];
    std::optional<std::vector<std::uint8_t>> out;
    // Fletcher's sum may still follow the data of an inner filter.
    const std::uint64_t room = decoded + 4 * filters.size();
    switch (filter.id) {
    case 1:
      out = inflate(bytes, room, budget);
      break;
    case 2:
      out = unshuffle(bytes, filter.values.empty() ? 1 : filter.values[0]);
      break;
    case 3:
      bytes.resize(bytes.size() - std::min<std::size_t>(bytes.size(), 4));
      continue;
    case 32000:
      out = unlzf(bytes, room);
      break;
    default:
      return std::nullopt;
    }
    if (!out) return std::nullopt;
    bytes = std::move(*out);
  }
  return bytes;
}

RawData read_chunked(File& file, Storage& storage, const DatasetInfo& info, bool collect,
                     Budget& budget) {
  return ChunkReader(file, storage, info, collect, budget).run();
}

std::optional<std::vector<std::string>> virtual_files(const File& file, Bytes block) {
  Reader reader(block);
  const auto version = reader.le<std::uint8_t>();
  const auto count = file.length(reader);
  if (!version || *version > 1 || !count) return std::nullopt;
  std::vector<std::string> out;
  const auto text = [&]() -> std::optional<std::string> {
    const auto rest = reader.at(reader.position(), reader.remaining());
    const std::size_t end = as_text(*rest).find('\0');
    if (end == std::string_view::npos) return std::nullopt;
    std::string found(as_text(*rest).substr(0, end));
    reader.skip(end + 1);
    return found;
  };
  for (std::uint64_t i = 0; i < *count; ++i) {
    std::uint8_t flags = 0;
    if (*version == 1) flags = reader.le<std::uint8_t>().value_or(0);
    // Bit 2: the same file; bits 0 and 1: the name of an earlier entry, by number.
    std::optional<std::string> name;
    if ((flags & 4) != 0)
      name = ".";
    else if ((flags & 1) != 0)
      name = file.length(reader) ? std::optional<std::string>("") : std::nullopt;
    else
      name = text();
    if (!name) return std::nullopt;
    if ((flags & 2) != 0 ? !file.length(reader) : !text()) return std::nullopt;
    if (!skip_selection(reader) || !skip_selection(reader)) return std::nullopt;
    constexpr std::size_t k_most = 64;
    if (!name->empty() && *name != "." && out.size() < k_most) out.push_back(std::move(*name));
  }
  return out;
}

} // namespace hubgate::hdf5
