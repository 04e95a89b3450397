// The walk's look at raw data: what lies outside of the file, what a filter has to be loaded for,
// and the bytes that can carry code.
#include "scanner/formats/hdf5/walk.hpp"

#include "scanner/formats/pickle/pickle.hpp"
#include "scanner/generic/executables.hpp"

#include <algorithm>

namespace hubgate::hdf5 {
namespace {

constexpr std::size_t k_least = 16;
constexpr std::uint64_t k_max_bytes = std::uint64_t{64} << 20; ///< of single bytes scanned in full
constexpr std::uint64_t k_bomb = std::uint64_t{16} << 30;
constexpr std::uint64_t k_ratio = 1100; ///< deflate's limit, as in Limits::ratio

// Stands between values: no format begins with it, and it is no length of anything; nine bytes, so
// that the value behind it is no header behind a length (safetensors).
constexpr std::string_view k_between{"\xff\0\xff\xff\xff\xff\xff\xff\xff", 9};

// What begins an executable, an archive or a pickle, and no array of numbers by accident.
bool has_magic(Source& source, std::uint64_t at, std::uint64_t size) {
  if (find_executable(source, at, size)) return true;
  const Bytes head = source.view(at, static_cast<std::size_t>(std::min<std::uint64_t>(size, 4096)));
  for (const std::string_view magic: {"PK\3\4", "7z\xbc\xaf\x27\x1c", "\x1f\x8b\x08", "BZh", "Rar!",
                                      "#!/", "\x89HDF", "\x28\xb5\x2f\xfd"})
    if (starts_with(head, magic)) return true;
  return pickle::looks_like_pickle(head) == Claim::yes;
}

} // namespace

void Walk::bytes(const std::string& name, Bytes bytes) {
  if (bytes.size() < k_least) return;
  MemorySource inner(bytes);
  session_.embedded(name, inner);
}

// Long values, and what begins like something, are scanned by themselves; the many short ones in
// batches, where structure shows at any offset.
void Walk::value(const HeapObject& object) {
  constexpr std::uint64_t k_long = 4096;
  constexpr std::size_t k_batch = std::size_t{1} << 20;
  if (object.size < k_least || read_.contains(object.place)) return;
  if (object.size >= k_long || has_magic(file_.source(), object.place, object.size)) {
    SubSource inner(file_.source(), object.place, object.size);
    session_.embedded("value@" + std::to_string(object.place), inner);
    return;
  }
  small_ += k_between;
  small_ += as_text(file_.source().view(object.place, static_cast<std::size_t>(object.size)));
  if (small_.size() >= k_batch) small_values();
}

void Walk::small_values() {
  if (small_.empty()) return;
  MemorySource inner(as_bytes(small_));
  session_.embedded("values", inner);
  small_.clear();
}

void Walk::numbers(std::uint64_t place, std::uint64_t size, const std::string& path) {
  if (size < k_least || !has_magic(file_.source(), place, size)) return;
  SubSource inner(file_.source(), place, size);
  session_.embedded(path, inner);
}

void Walk::external(const Message& message, const std::string& path) {
  Reader reader(message.body);
  reader.skip(6);
  const std::uint64_t slots = reader.le<std::uint16_t>().value_or(0);
  const auto heap = file_.offset(reader);
  std::string names;
  for (std::uint64_t i = 0; heap && i < slots; ++i) {
    const auto name = file_.length(reader);
    if (!name || !file_.length(reader) || !file_.length(reader)) break;
    const auto text = storage_.local_name(*heap, *name);
    if (!text) continue;
    session_.refer("file", message.place, *text);
    if (names.size() < 300) names += (names.empty() ? "" : ", ") + *text;
  }
  if (tell(k_external_storage))
    session_.find(k_external_storage, message.place, message.body.size(),
                  path + " is read from " + (names.empty() ? "another file" : names));
}

void Walk::virtual_map(const Layout& layout, const std::string& path) {
  const HeapObject* const object = storage_.heap_object(layout.address, layout.heap_index);
  if (object == nullptr) return;
  constexpr std::uint64_t k_most = std::uint64_t{16} << 20;
  const Bytes view =
      file_.source().view(object->place, static_cast<std::size_t>(std::min(object->size, k_most)));
  const std::vector<std::uint8_t> block(view.begin(), view.end());
  const auto files = virtual_files(file_, block);
  if (!files)
    trouble({Trouble::Kind::unsupported, layout.address, "a virtual dataset's map can't be read"});
  if (files && files->empty()) return;
  std::string names;
  for (const std::string& name: files.value_or(std::vector<std::string>{})) {
    session_.refer("file", object->place, name);
    if (names.size() < 300) names += (names.empty() ? "" : ", ") + name;
  }
  if (tell(k_virtual))
    session_.find(k_virtual, object->place, object->size,
                  path + " maps " + (names.empty() ? "what can't be read" : names));
}

void Walk::filters(const Object& object, const std::string& path) {
  for (const Filter& filter: object.filters) {
    const FilterKind kind = kind_of(filter.id);
    if (kind != FilterKind::registered && kind != FilterKind::unknown) continue;
    const Rule& rule = kind == FilterKind::unknown ? k_filter : k_plugin_filter;
    if (tell(rule))
      session_.find(rule, 0, 0,
                    path + " filter " + std::to_string(filter.id) +
                        (filter.name.empty() ? "" : " " + filter.name.substr(0, 100)));
  }
}

void Walk::bomb(const Object& object, std::uint64_t stored, const std::string& path) {
  const auto elements = object.space.elements();
  std::uint64_t declared = 0;
  const bool fits =
      elements && !__builtin_mul_overflow(*elements, std::uint64_t{object.type->size}, &declared);
  if (fits && (declared <= k_bomb || declared / k_ratio <= stored)) return;
  if (tell(k_shape_bomb))
    session_.find(k_shape_bomb, 0, 0,
                  path + " declares " + (fits ? std::to_string(declared) : "more than 2^64") +
                      " bytes and stores " + std::to_string(stored));
}

void Walk::dataset(const Object& object, const Task& task) {
  const Layout& layout = *object.layout;
  filters(object, task.path);
  if (!object.type) return; // its message was reported
  const Datatype& type = *object.type;
  const bool carries = type.has_text || type.has_opaque || type.bytes;
  std::uint64_t declared = 0;
  const auto elements = object.space.elements();
  if (!elements || __builtin_mul_overflow(*elements, std::uint64_t{type.size}, &declared))
    declared = k_undefined;

  switch (layout.kind) {
  case Layout::Kind::compact:
    bomb(object, layout.compact.size(), task.path);
    if (carries) bytes(task.path, layout.compact);
    return;
  case Layout::Kind::contiguous: {
    const std::uint64_t size = layout.size != 0 ? layout.size : declared;
    if (layout.address == k_undefined) { // never written, or in other files
      bomb(object, 0, task.path);
      return;
    }
    bomb(object, size == k_undefined ? 0 : size, task.path);
    if (!file_.holds(layout.address, size))
      return trouble({Trouble::Kind::truncated, layout.address, "a dataset ends behind the file"});
    file_.account(layout.address, size, true);
    const std::uint64_t place = file_.place(layout.address);
    if (carries && size >= k_least && size <= k_max_bytes) {
      SubSource inner(file_.source(), place, size);
      session_.embedded(task.path, inner);
    } else {
      if (type.has_opaque && size > k_max_bytes)
        trouble({Trouble::Kind::budget, layout.address, "an opaque dataset longer than 64 MiB"});
      numbers(place, size, task.path);
    }
    return;
  }
  case Layout::Kind::chunked: {
    const DatasetInfo info{type, object.space, layout, object.filters};
    const RawData raw = read_chunked(file_, storage_, info, carries, session_.budget());
    if (raw.index_known) bomb(object, raw.stored, task.path);
    if (!raw.collected.empty()) bytes(task.path, raw.collected);
    if (type.has_opaque && (raw.cut || raw.undecoded))
      trouble({raw.cut ? Trouble::Kind::budget : Trouble::Kind::unsupported, layout.address,
               "opaque data that is too long or compressed in an unknown way"});
    if (!carries && raw.first != k_undefined && object.filters.empty())
      numbers(file_.place(raw.first), raw.stored, task.path);
    return;
  }
  case Layout::Kind::virtual_:
    virtual_map(layout, task.path);
    return;
  case Layout::Kind::unknown:
    return;
  }
}

} // namespace hubgate::hdf5
