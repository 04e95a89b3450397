// Version 2 B-trees and fractal heaps, in which large groups and many attributes are kept.
#include "scanner/formats/hdf5/storage.hpp"

#include <algorithm>
#include <bit>

namespace hubgate::hdf5 {
namespace {

constexpr std::size_t k_max_node = std::size_t{16} << 20;
constexpr std::uint64_t k_max_object = std::uint64_t{64} << 20;
constexpr std::size_t k_max_blocks = 1 << 20;
constexpr int k_max_indirect = 32;

// Bytes that hold numbers up to `limit`.
std::size_t width_of(std::uint64_t limit) {
  return limit == 0 ? 1 : static_cast<std::size_t>((std::bit_width(limit) - 1) / 8 + 1);
}

} // namespace

struct Storage::FractalHeap {
  std::uint64_t address = 0;
  std::uint16_t id_size = 0;
  bool summed_blocks = false;
  std::uint64_t huge_tree = k_undefined;
  std::uint64_t width = 0; ///< blocks of a row
  std::uint64_t start = 0; ///< bytes of a block of the first row
  std::uint64_t largest = 0;
  std::uint64_t root = k_undefined;
  std::uint64_t rows = 0;
  std::size_t offset_width = 0;
  std::size_t length_width = 0;

  std::uint64_t block_size(std::uint64_t row) const { return row < 2 ? start : start << (row - 1); }
  std::uint64_t row_begin(std::uint64_t row) const {
    return row == 0 ? 0 : start * width << (row - 1);
  }
  std::uint64_t direct_rows() const {
    return static_cast<std::uint64_t>(std::bit_width(largest) - std::bit_width(start)) + 2;
  }
};

std::optional<Storage::FractalHeap> Storage::fractal_heap(std::uint64_t address) {
  const auto& block = file_.superblock();
  const std::size_t size = 26 + 12U * block.length_size + 3U * block.offset_size;
  const auto bytes = file_.read(address, size);
  if (!bytes || !starts_with(*bytes, "FRHP")) {
    fail(Trouble::Kind::malformed, address, "no fractal heap is where one should be");
    return std::nullopt;
  }
  Reader reader(*bytes);
  FractalHeap out;
  out.address = address;
  reader.skip(5);
  out.id_size = reader.le<std::uint16_t>().value_or(0);
  const std::uint16_t filters = reader.le<std::uint16_t>().value_or(0);
  const std::uint8_t flags = reader.le<std::uint8_t>().value_or(0);
  out.summed_blocks = (flags & 2) != 0;
  const std::uint32_t most = reader.le<std::uint32_t>().value_or(0);
  file_.length(reader); // next identifier of a huge object
  out.huge_tree = file_.offset(reader).value_or(k_undefined);
  file_.length(reader); // free space
  file_.offset(reader); // its manager
  for (int i = 0; i < 8; ++i)
    file_.length(reader); // managed, allocated, iterator, and numbers of objects
  out.width = reader.le<std::uint16_t>().value_or(0);
  out.start = file_.length(reader).value_or(0);
  out.largest = file_.length(reader).value_or(0);
  const std::uint16_t bits = reader.le<std::uint16_t>().value_or(0);
  reader.skip(2);
  out.root = file_.offset(reader).value_or(k_undefined);
  out.rows = reader.le<std::uint16_t>().value_or(0);
  file_.account(address, size);
  if (filters != 0) {
    fail(Trouble::Kind::unsupported, address, "a fractal heap is compressed");
    return std::nullopt;
  }
  summed(*bytes, address);
  if (!std::has_single_bit(out.start) || !std::has_single_bit(out.largest) ||
      out.start > out.largest || out.largest > (std::uint64_t{1} << 32) ||
      !std::has_single_bit(out.width) || bits == 0 || bits > 64 || out.rows > 64) {
    fail(Trouble::Kind::malformed, address, "a fractal heap has impossible sizes");
    return std::nullopt;
  }
  out.offset_width = (bits + 7U) / 8U;
  out.length_width = std::min<std::size_t>(
      (static_cast<std::size_t>(std::bit_width(out.largest)) - 1 + 7) / 8, width_of(most));
  return out;
}

void Storage::direct_block(std::uint64_t address, std::uint64_t begin, std::uint64_t size,
                           std::vector<Block>& out) {
  if (address == k_undefined) return;
  const auto magic = file_.read(address, 4);
  if (!magic || !starts_with(*magic, "FHDB") || !file_.holds(address, size))
    return fail(Trouble::Kind::malformed, address,
                "no block of a fractal heap is where one should be");
  if (!file_.first_visit(address))
    return fail(Trouble::Kind::cycle, address, "a fractal heap has the same block twice");
  if (out.size() >= k_max_blocks)
    return fail(Trouble::Kind::budget, address, "a fractal heap has too many blocks");
  file_.account(address, size);
  out.push_back({begin, size, address});
}

void Storage::indirect_block(const FractalHeap& heap, std::uint64_t address, std::uint64_t begin,
                             std::uint64_t rows, std::vector<Block>& out, int depth) {
  if (address == k_undefined) return;
  const auto& block = file_.superblock();
  const std::uint64_t size =
      5 + block.offset_size + heap.offset_width + rows * heap.width * block.offset_size + 4;
  if (depth > k_max_indirect || rows > 64 || size > k_max_node)
    return fail(Trouble::Kind::malformed, address, "a fractal heap is too deep");
  const auto bytes = file_.read(address, size);
  if (!bytes || !starts_with(*bytes, "FHIB"))
    return fail(Trouble::Kind::malformed, address,
                "no block of a fractal heap is where one should be");
  if (!file_.first_visit(address))
    return fail(Trouble::Kind::cycle, address, "a fractal heap has the same block twice");
  file_.account(address, size);
  summed(*bytes, address);
  Reader reader(*bytes);
  reader.skip(5U + block.offset_size + heap.offset_width);
  for (std::uint64_t row = 0; row < rows; ++row) {
    const std::uint64_t each = heap.block_size(row);
    for (std::uint64_t column = 0; column < heap.width; ++column) {
      const auto child = file_.offset(reader);
      if (!child) return;
      const std::uint64_t at = begin + heap.row_begin(row) + column * each;
      if (row < heap.direct_rows()) {
        direct_block(*child, at, each, out);
      } else {
        const std::uint64_t below =
            static_cast<std::uint64_t>(std::bit_width(each) -
                                       std::bit_width(heap.start * heap.width)) +
            1;
        indirect_block(heap, *child, at, below, out, depth + 1);
      }
    }
  }
}

void Storage::managed(const FractalHeap& heap, const std::vector<Block>& blocks, Bytes id,
                      const std::function<void(Bytes, std::uint64_t)>& visit) {
  Reader reader(id);
  reader.skip(1);
  const auto offset = File::number(reader, heap.offset_width);
  const auto length = File::number(reader, heap.length_width);
  if (!offset || !length)
    return fail(Trouble::Kind::malformed, heap.address, "an identifier of a fractal heap is cut");
  const auto after = std::upper_bound(blocks.begin(), blocks.end(), *offset,
                                      [](std::uint64_t o, const Block& b) { return o < b.begin; });
  if (after == blocks.begin())
    return fail(Trouble::Kind::malformed, heap.address,
                "an object lies outside of its fractal heap");
  const Block& block = *(after - 1);
  const std::uint64_t inner = *offset - block.begin;
  if (inner > block.size || *length > block.size - inner)
    return fail(Trouble::Kind::malformed, heap.address,
                "an object lies outside of its fractal heap");
  const auto bytes = file_.read(block.address + inner, *length);
  if (!bytes) return fail(Trouble::Kind::truncated, heap.address, "a fractal heap is cut");
  visit(*bytes, file_.place(block.address + inner));
}

void Storage::huge(const FractalHeap& heap, Bytes id,
                   const std::function<void(Bytes, std::uint64_t)>& visit) {
  const auto& block = file_.superblock();
  const auto object = [&](std::uint64_t address, std::uint64_t length) {
    file_.account(address, length);
    const auto bytes = length <= k_max_object ? file_.read(address, length) : std::nullopt;
    if (!bytes)
      return fail(Trouble::Kind::budget, address, "an object of a fractal heap is too long or cut");
    visit(*bytes, file_.place(address));
  };
  Reader reader(id);
  reader.skip(1);
  // Addressed by the identifier itself where it is long enough, else by a B-tree of numbers.
  if (heap.id_size >= 1U + block.offset_size + block.length_size) {
    const auto address = file_.offset(reader);
    const auto length = file_.length(reader);
    if (address && length) object(*address, *length);
    return;
  }
  const auto wanted = File::number(reader, std::min<std::size_t>(8, id.size() - 1));
  if (heap.huge_tree == k_undefined || !wanted)
    return fail(Trouble::Kind::malformed, heap.address, "a huge object has no index");
  // The index is read once: its nodes are visited once.
  const auto [index, fresh] = huge_.try_emplace(heap.huge_tree);
  if (fresh)
    records(heap.huge_tree, [&](Bytes record) {
      Reader one(record);
      const auto address = file_.offset(one);
      const auto length = file_.length(one);
      const auto number = file_.length(one);
      if (address && length && number) index->second[*number] = {*address, *length};
    });
  const auto found = index->second.find(*wanted);
  if (found == index->second.end())
    return fail(Trouble::Kind::malformed, heap.address, "a huge object is not in its index");
  object(found->second.first, found->second.second);
}

void Storage::heap_objects(std::uint64_t heap, std::uint64_t tree, std::size_t skip,
                           const std::function<void(Bytes, std::uint64_t)>& visit) {
  const auto found = fractal_heap(heap);
  if (!found) return;
  std::vector<Block> blocks;
  if (found->rows == 0)
    direct_block(found->root, 0, found->start, blocks);
  else
    indirect_block(*found, found->root, 0, found->rows, blocks, 0);
  std::sort(blocks.begin(), blocks.end(),
            [](const Block& a, const Block& b) { return a.begin < b.begin; });
  records(tree, [&](Bytes record) {
    if (record.size() < skip + found->id_size)
      return fail(Trouble::Kind::malformed, tree, "a record is shorter than an identifier");
    const Bytes id = record.subspan(skip, found->id_size);
    switch (id[0] >> 4 & 3) {
    case 0:
      managed(*found, blocks, id, visit);
      break;
    case 1:
      huge(*found, id, visit);
      break;
    case 2: {
      const std::size_t length = (id[0] & 15U) + 1;
      if (length <= id.size() - 1) visit(id.subspan(1, length), file_.place(heap));
      break;
    }
    default:
      fail(Trouble::Kind::malformed, heap, "an identifier of a fractal heap of an unknown type");
    }
  });
}

void Storage::node2(const Tree2& tree, std::uint64_t address, std::uint64_t count,
                    std::size_t depth, const std::function<void(Bytes)>& visit) {
  const auto& block = file_.superblock();
  const std::uint64_t records = count * tree.record;
  const std::size_t below_width = depth > 1 ? width_of(tree.most[depth - 1]) : 0;
  const std::uint64_t pointers =
      depth == 0 ? 0 : (count + 1) * (block.offset_size + tree.count_width + below_width);
  const std::uint64_t used = 6 + records + pointers + 4;
  if (used > tree.node)
    return fail(Trouble::Kind::malformed, address, "a B-tree has more records than its node holds");
  if (!file_.first_visit(address))
    return fail(Trouble::Kind::cycle, address, "a B-tree leads back into itself");
  const auto bytes = file_.read(address, used);
  if (!bytes || !starts_with(*bytes, depth == 0 ? "BTLF" : "BTIN"))
    return fail(Trouble::Kind::malformed, address, "no B-tree is where one should be");
  file_.account(address, tree.node);
  summed(*bytes, address);
  Reader reader(*bytes);
  reader.skip(6);
  const Bytes all = *reader.take(records);
  for (std::uint64_t i = 0; i < count; ++i)
    visit(all.subspan(static_cast<std::size_t>(i * tree.record), tree.record));
  if (depth == 0) return;
  for (std::uint64_t i = 0; i <= count; ++i) {
    const auto child = file_.offset(reader);
    const auto inner = File::number(reader, tree.count_width);
    if (below_width != 0) File::number(reader, below_width);
    if (!child || !inner) return;
    node2(tree, *child, *inner, depth - 1, visit);
  }
}

void Storage::records(std::uint64_t address, const std::function<void(Bytes)>& visit) {
  const auto& block = file_.superblock();
  const std::size_t size = 22U + block.offset_size + block.length_size;
  const auto bytes = file_.read(address, size);
  if (!bytes || !starts_with(*bytes, "BTHD"))
    return fail(Trouble::Kind::malformed, address, "no B-tree is where one should be");
  file_.account(address, size);
  summed(*bytes, address);
  Reader reader(*bytes);
  reader.skip(6);
  Tree2 tree;
  tree.node = reader.le<std::uint32_t>().value_or(0);
  tree.record = reader.le<std::uint16_t>().value_or(0);
  const std::size_t depth = reader.le<std::uint16_t>().value_or(0);
  reader.skip(2);
  const auto root = file_.offset(reader);
  const auto count = reader.le<std::uint16_t>();
  constexpr std::size_t k_deepest = 16;
  if (!root || !count || tree.node < 16 || tree.node > k_max_node || tree.record == 0 ||
      tree.record > tree.node || depth > k_deepest)
    return fail(Trouble::Kind::malformed, address, "a B-tree has impossible sizes");
  tree.most.push_back((tree.node - 10) / tree.record);
  tree.count_width = width_of(tree.most[0]);
  for (std::size_t i = 1; i <= depth; ++i) {
    const std::size_t pointer =
        block.offset_size + tree.count_width + (i > 1 ? width_of(tree.most[i - 1]) : 0);
    if (tree.node < 10 + pointer + tree.record)
      return fail(Trouble::Kind::malformed, address, "a B-tree has impossible sizes");
    const std::uint64_t here = (tree.node - (10 + pointer)) / (tree.record + pointer);
    std::uint64_t all = 0;
    if (__builtin_mul_overflow(here + 1, tree.most[i - 1], &all)) all = k_undefined >> 1;
    tree.most.push_back(all + here);
  }
  if (*root != k_undefined) node2(tree, *root, *count, depth, visit);
}

} // namespace hubgate::hdf5
