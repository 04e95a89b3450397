// Version 1 B-trees, symbol table nodes, local and global heaps.
#include "scanner/formats/hdf5/storage.hpp"

#include <algorithm>

namespace hubgate::hdf5 {
namespace {

constexpr std::size_t k_max_depth = 64;
constexpr std::uint64_t k_max_name = std::uint64_t{64} << 10;
constexpr std::uint64_t k_max_collection = std::uint64_t{4} << 30;
constexpr std::size_t k_max_heap_objects = std::size_t{4} << 20;

} // namespace

const Storage::LocalHeap* Storage::local_heap(std::uint64_t heap) {
  if (const auto known = local_.find(heap); known != local_.end()) return &known->second;
  const auto& block = file_.superblock();
  const std::size_t size = 8 + 2U * block.length_size + block.offset_size;
  const auto bytes = file_.read(heap, size);
  if (!bytes || !starts_with(*bytes, "HEAP")) {
    fail(Trouble::Kind::malformed, heap, "no local heap is where one should be");
    return nullptr;
  }
  Reader reader(*bytes);
  reader.skip(8);
  const auto data_size = file_.length(reader);
  file_.length(reader);
  const auto data = file_.offset(reader);
  LocalHeap out{data.value_or(k_undefined), data_size.value_or(0)};
  if (!file_.holds(out.data, out.size)) {
    fail(Trouble::Kind::truncated, heap, "a local heap ends behind the file");
    return nullptr;
  }
  file_.account(heap, size);
  file_.account(out.data, out.size);
  return &(local_[heap] = out);
}

std::optional<std::string> Storage::local_name(std::uint64_t heap, std::uint64_t offset) {
  const LocalHeap* const found = local_heap(heap);
  if (found == nullptr) return std::nullopt;
  if (offset >= found->size) {
    fail(Trouble::Kind::malformed, heap, "a name lies outside of its heap");
    return std::nullopt;
  }
  const auto bytes = file_.read(found->data + offset, std::min(k_max_name, found->size - offset));
  if (!bytes) return std::nullopt;
  const std::string_view text = as_text(*bytes);
  return std::string(text.substr(0, text.find('\0')));
}

void Storage::symbols(std::uint64_t address, std::uint64_t heap,
                      const std::function<void(Link)>& visit) {
  const auto& block = file_.superblock();
  const std::size_t entry = 2U * block.offset_size + 24;
  const auto head = file_.read(address, 8);
  if (!head || !starts_with(*head, "SNOD"))
    return fail(Trouble::Kind::malformed, address, "no symbol table is where one should be");
  Reader reader(*head);
  reader.skip(6);
  const std::uint64_t count = reader.le<std::uint16_t>().value_or(0);
  file_.account(address, 8 + 2ULL * block.leaf_k * entry);
  const auto entries = file_.read(address + 8, count * entry);
  if (!entries) return fail(Trouble::Kind::truncated, address, "a symbol table is cut");
  Reader body(*entries);
  for (std::uint64_t i = 0; i < count; ++i) {
    Reader one(*body.take(entry));
    const auto name = file_.offset(one);
    const auto header = file_.offset(one);
    const auto cache = one.le<std::uint32_t>();
    one.skip(4);
    const auto value = one.le<std::uint32_t>();
    const auto text = local_name(heap, name.value_or(k_undefined));
    if (!text) continue;
    Link link;
    link.name = *text;
    if (cache == 2U) {
      link.kind = Link::Kind::soft;
      link.target = local_name(heap, value.value_or(0)).value_or("");
    } else {
      link.address = header.value_or(k_undefined);
    }
    visit(std::move(link));
  }
}

void Storage::old_group(std::uint64_t tree, std::uint64_t heap,
                        const std::function<void(Link)>& visit) {
  const auto& block = file_.superblock();
  const std::size_t head = 8 + 2U * block.offset_size;
  local_heap(heap);
  std::vector<std::pair<std::uint64_t, std::size_t>> pending{{tree, k_max_depth}};
  while (!pending.empty()) {
    const auto [address, depth] = pending.back();
    pending.pop_back();
    if (!file_.first_visit(address)) {
      fail(Trouble::Kind::cycle, address, "a B-tree leads back into itself");
      continue;
    }
    const auto bytes = file_.read(address, head);
    if (!bytes || !starts_with(*bytes, "TREE") || (*bytes)[4] != 0) {
      fail(Trouble::Kind::malformed, address, "no B-tree is where one should be");
      continue;
    }
    const std::uint8_t level = (*bytes)[5];
    Reader reader(*bytes);
    reader.skip(6);
    const std::uint64_t count = reader.le<std::uint16_t>().value_or(0);
    const std::uint64_t pair = std::uint64_t{block.length_size} + block.offset_size;
    file_.account(address, head + 2ULL * block.group_k * pair + block.length_size);
    const auto body = file_.read(address + head, count * pair);
    if (!body || level >= depth) {
      fail(Trouble::Kind::malformed, address, "a B-tree is cut or too deep");
      continue;
    }
    Reader items(*body);
    for (std::uint64_t i = 0; i < count; ++i) {
      file_.length(items);
      const auto child = file_.offset(items);
      if (!child) break;
      if (level != 0)
        pending.emplace_back(*child, level);
      else if (file_.first_visit(*child))
        symbols(*child, heap, visit);
      else
        fail(Trouble::Kind::cycle, *child, "a B-tree leads twice to the same node");
    }
  }
}

void Storage::chunks(
    std::uint64_t tree, std::size_t rank,
    const std::function<void(std::uint64_t, std::uint64_t, std::uint32_t)>& visit) {
  const auto& block = file_.superblock();
  const std::size_t head = 8 + 2U * block.offset_size;
  const std::uint64_t key = 8 + 8 * (std::uint64_t{rank} + 1);
  std::vector<std::pair<std::uint64_t, std::size_t>> pending{{tree, k_max_depth}};
  while (!pending.empty()) {
    const auto [address, depth] = pending.back();
    pending.pop_back();
    if (!file_.first_visit(address)) {
      fail(Trouble::Kind::cycle, address, "a B-tree leads back into itself");
      continue;
    }
    const auto bytes = file_.read(address, head);
    if (!bytes || !starts_with(*bytes, "TREE") || (*bytes)[4] != 1) {
      fail(Trouble::Kind::malformed, address, "no B-tree of chunks is where one should be");
      continue;
    }
    const std::uint8_t level = (*bytes)[5];
    Reader reader(*bytes);
    reader.skip(6);
    const std::uint64_t count = reader.le<std::uint16_t>().value_or(0);
    const std::uint64_t pair = key + block.offset_size;
    file_.account(address, head + 2ULL * block.chunk_k * pair + key);
    const auto body = file_.read(address + head, count * pair);
    if (!body || level >= depth) {
      fail(Trouble::Kind::malformed, address, "a B-tree of chunks is cut or too deep");
      continue;
    }
    Reader items(*body);
    for (std::uint64_t i = 0; i < count; ++i) {
      const auto size = items.le<std::uint32_t>();
      const auto mask = items.le<std::uint32_t>();
      items.skip(key - 8);
      const auto child = file_.offset(items);
      if (!size || !mask || !child) break;
      if (level != 0)
        pending.emplace_back(*child, level);
      else
        visit(*child, *size, *mask);
    }
  }
}

const std::vector<HeapObject>* Storage::collection(std::uint64_t address) {
  if (const auto known = collections_.find(address); known != collections_.end())
    return &known->second;
  const auto& block = file_.superblock();
  const std::size_t head = 8 + block.length_size;
  const auto bytes = file_.read(address, head);
  if (!bytes || !starts_with(*bytes, "GCOL")) {
    fail(Trouble::Kind::malformed, address, "no global heap is where one should be");
    return nullptr;
  }
  Reader reader(*bytes);
  reader.skip(8);
  const std::uint64_t size = file_.length(reader).value_or(0);
  if (size < head || size > k_max_collection || !file_.holds(address, size)) {
    fail(Trouble::Kind::truncated, address, "a global heap ends behind the file");
    return nullptr;
  }
  file_.account(address, size);
  std::vector<HeapObject> out;
  const std::size_t front = 8 + block.length_size;
  std::uint64_t at = head;
  while (size - at >= front && heap_objects_ < k_max_heap_objects) {
    const auto entry = file_.read(address + at, front);
    if (!entry) break;
    Reader one(*entry);
    const std::uint32_t index = one.le<std::uint16_t>().value_or(0);
    one.skip(6);
    const std::uint64_t length = file_.length(one).value_or(0);
    at += front;
    if (index == 0) break; // the free space is the last
    if (length > size - at) {
      fail(Trouble::Kind::malformed, address, "an object is longer than its global heap");
      break;
    }
    out.push_back({index, file_.place(address + at), length});
    ++heap_objects_;
    at += std::min(size - at, (length + 7) & ~std::uint64_t{7});
  }
  if (heap_objects_ >= k_max_heap_objects)
    fail(Trouble::Kind::budget, address, "too many objects in global heaps");
  return &(collections_[address] = std::move(out));
}

const HeapObject* Storage::heap_object(std::uint64_t address, std::uint32_t index) {
  const auto* const objects = collection(address);
  if (objects == nullptr) return nullptr;
  for (const HeapObject& object: *objects)
    if (object.index == index) return &object;
  return nullptr;
}

bool Storage::summed(Bytes bytes, std::uint64_t address) {
  if (bytes.size() < 4) return false;
  Reader reader(bytes.last(4));
  if (reader.le<std::uint32_t>() == lookup3(bytes.first(bytes.size() - 4))) return true;
  fail(Trouble::Kind::checksum, address, "metadata has a wrong checksum");
  return false;
}

} // namespace hubgate::hdf5
