#include "scanner/formats/hdf5/walk.hpp"

#include "scanner/generic/text_value.hpp"

#include <algorithm>
#include <array>

namespace hubgate::hdf5 {
namespace {

constexpr std::size_t k_told = 20;
constexpr std::size_t k_max_objects = std::size_t{2} << 20;
constexpr std::size_t k_path = 300;
constexpr std::size_t k_least = 16;                           ///< shorter bytes carry nothing
constexpr std::uint64_t k_max_text = std::uint64_t{64} << 20; ///< of a configuration
constexpr std::uint64_t k_max_soft = 4096;

std::string join(const std::string& path, const std::string& name) {
  std::string out = path + (path.ends_with('/') ? "" : "/") + name;
  if (out.size() > k_path) out = "…" + out.substr(out.size() - k_path);
  return out;
}

bool is_blank(Bytes bytes) {
  return std::all_of(bytes.begin(), bytes.end(),
                     [](std::uint8_t c) { return c == 0 || c == ' ' || c == '\n' || c == '\r'; });
}

// The name of a split attribute without its number: "model_config12" is a part of "model_config".
std::string without_number(const std::string& name) {
  const std::size_t end = name.find_last_not_of("0123456789");
  return end == std::string::npos ? name : name.substr(0, end + 1);
}

// Attributes that say what kind of file this is.
constexpr std::array<std::string_view, 6> k_keras_marks{
    "keras_version", "model_config", "training_config", "layer_names", "weight_names", "backend"};

// Types of Julia's own that are code: compiled or lowered functions, expressions.
bool is_julia_code(std::string_view name) {
  for (const std::string_view word:
       {"Core.CodeInfo", "Core.MethodInstance", "Core.Method", "Core.CodeInstance", "Core.Expr",
        "Core.GlobalRef", "Core.OpaqueClosure", "Core.Module", "Core.Function", "Core.Builtin",
        "Expr", "Function", "Method", "Module", "Base.Cmd", "Core.TypeName"})
    if (name == word) return true;
  return name.starts_with("typeof(") || name.starts_with("Core.typeof(") ||
         name.find('#') != std::string_view::npos;
}

// A stretch of the file behind a mark that no format begins with: what was cut out of the middle is
// searched at every offset instead of being taken for whatever its first byte could begin.
class MarkedSource final : public Source {
public:
  MarkedSource(Source& file, std::uint64_t begin, std::uint64_t size)
      : stretch_(file, begin, size), size_(size) {}
  std::optional<std::uint64_t> size() override { return size_ + k_mark.size(); }
  Bytes view(std::uint64_t offset, std::size_t n) override {
    if (offset >= k_mark.size()) return stretch_.view(offset - k_mark.size(), n);
    const Bytes behind = stretch_.view(0, n);
    joined_.assign(k_mark.begin(), k_mark.end());
    joined_.insert(joined_.end(), behind.begin(), behind.end());
    const Bytes all = Bytes(joined_).subspan(static_cast<std::size_t>(offset));
    return all.first(std::min(n, all.size()));
  }
  bool random_access() override { return stretch_.random_access(); }
  std::uint64_t wait_end() override { return size_ + k_mark.size(); }
  Fault fault() const override { return stretch_.fault(); }

private:
  static constexpr std::string_view k_mark{"\xff\0unused", 8};
  SubSource stretch_;
  std::uint64_t size_;
  std::vector<std::uint8_t> joined_;
};

} // namespace

bool Walk::tell(const Rule& rule) {
  return ++told_[rule.id] <= k_told;
}

void Walk::trouble(const Trouble& trouble) {
  if (trouble.kind == Trouble::Kind::none) return;
  const std::uint64_t place = trouble.address == k_undefined ? 0 : file_.place(trouble.address);
  Reason reason = Reason::malformed;
  switch (trouble.kind) {
  case Trouble::Kind::checksum:
  case Trouble::Kind::cycle:
    if (tell(k_structure)) session_.find(k_structure, place, 0, trouble.what);
    broken_ = true;
    return;
  case Trouble::Kind::truncated:
    reason = Reason::truncated;
    break;
  case Trouble::Kind::unsupported:
    reason = Reason::unsupported;
    break;
  case Trouble::Kind::budget:
    reason = Reason::budget;
    break;
  case Trouble::Kind::malformed:
  case Trouble::Kind::none:
    break;
  }
  broken_ = true;
  session_.gap(reason, Reach::load, place, trouble.what);
}

void Walk::unreadable(const Message& message, std::string_view what) {
  broken_ = true;
  session_.gap(Reason::malformed, Reach::load, message.place, what);
}

void Walk::user_block() {
  const std::uint64_t size = file_.superblock().begin;
  if (size == 0) return;
  const Bytes view =
      file_.source().view(0, static_cast<std::size_t>(std::min<std::uint64_t>(size, 1 << 20)));
  const std::vector<std::uint8_t> block(view.begin(), view.end());
  file_.extents().push_back({0, size, false});
  std::size_t known = 0;
  if (starts_with(block, "MATLAB 7.") && block.size() >= 128 && block[125] == 2) known = 128;
  if (starts_with(block, "HDF5-based Julia Data Format")) {
    julia_ = true;
    // Version and platform, with zeros between them.
    const Bytes line = Bytes(block).first(std::min<std::size_t>(block.size(), 256));
    if (std::all_of(line.begin(), line.end(),
                    [](std::uint8_t c) { return c == 0 || (c >= ' ' && c < 0x7f); }))
      known = line.size();
  }
  const Bytes rest = Bytes(block).subspan(std::min(known, block.size()));
  if (is_blank(rest) && block.size() == size) return;
  session_.find(k_user_block, known, size - known,
                std::to_string(size) + " bytes in front of the superblock");
  SubSource inner(file_.source(), known, size - known);
  session_.embedded("user block", inner);
}

void Walk::superblock() {
  const Superblock& block = file_.superblock();
  file_.account(0, block.size);
  if (!block.checksum_ok && tell(k_structure))
    session_.find(k_structure, block.begin, block.size, "the superblock has a wrong checksum");
  if (block.driver != k_undefined) {
    file_.account(block.driver, 16);
    session_.find(k_driver_rule, block.begin, block.size, "a driver information block");
  }
  if (block.extension != k_undefined) tasks_.push_back({block.extension, "superblock extension"});
  if (block.root != k_undefined)
    tasks_.push_back({block.root, "/"});
  else
    trouble({Trouble::Kind::malformed, 0, "the file has no root group"});
  for (std::uint64_t at = std::max<std::uint64_t>(512, block.begin * 2); at < file_.size();
       at *= 2) {
    if (read_superblock(file_.source(), at))
      session_.find(k_second, at, k_signature.size(), "a superblock at " + std::to_string(at));
    if (at > file_.size() / 2) break;
  }
}

std::optional<Datatype> Walk::committed(std::uint64_t address) {
  if (const auto known = committed_.find(address); known != committed_.end()) return known->second;
  const Header header = read_header(file_, address);
  std::optional<Datatype> out;
  for (const Message& message: header.messages) {
    if (message.type != k_datatype || (message.flags & k_shared_flag) != 0) continue;
    Reader reader(message.body);
    out = read_datatype(reader);
  }
  return committed_[address] = out;
}

void Walk::visit(const Task& task) {
  if (objects_.size() >= k_max_objects || !session_.budget().time_left()) {
    trouble({Trouble::Kind::budget, task.address, "too many objects"});
    tasks_.clear();
    return;
  }
  if (!objects_.insert(task.address).second) return; // hard links may share an object
  const Header header = read_header(file_, task.address);
  trouble(header.trouble);
  Object object;
  for (const Message& message: header.messages)
    this->message(message, task, object);
  configuration(task.path);
  if (object.layout) dataset(object, task);
}

void Walk::message(const Message& message, const Task& task, Object& object) {
  const bool shared = (message.flags & k_shared_flag) != 0;
  Reader reader(message.body);
  if (shared && message.type != k_datatype && message.type != k_attribute) {
    if (message.type == k_dataspace || message.type == k_filters || message.type == k_fill)
      trouble({Trouble::Kind::unsupported, task.address, "a message lies in a shared heap"});
    return;
  }
  switch (message.type) {
  case 0: // deleted
    if (message.body.size() >= 64) bytes("deleted message", message.body);
    break;
  case k_dataspace:
    if (const auto space = read_dataspace(file_, message.body))
      object.space = *space;
    else
      unreadable(message, "a dataspace can't be read");
    break;
  case k_datatype: {
    const auto at = shared ? read_shared(file_, message.body) : std::nullopt;
    object.type = at ? committed(*at) : shared ? std::nullopt : read_datatype(reader);
    if (!object.type) unreadable(message, "a datatype can't be read");
    break;
  }
  case k_layout:
    object.layout = read_layout(file_, message.body);
    if (!object.layout) unreadable(message, "a data layout can't be read");
    break;
  case k_filters:
    if (const auto filters = read_filters(message.body))
      object.filters = *filters;
    else
      unreadable(message, "a filter pipeline can't be read");
    break;
  case k_external:
    external(message, task.path);
    break;
  case k_link:
    if (const auto found = read_link(file_, message.body))
      link(*found, task.path, message.place);
    else
      unreadable(message, "a link can't be read");
    break;
  case k_symbol_table: {
    const auto tree = file_.offset(reader);
    const auto heap = file_.offset(reader);
    if (tree && heap)
      group(*tree, *heap, task.path);
    else
      unreadable(message, "a symbol table message is cut");
    break;
  }
  case k_link_info: {
    const bool ordered = message.body.size() > 1 && (message.body[1] & 1) != 0;
    reader.skip(ordered ? 10 : 2);
    const auto heap = file_.offset(reader);
    const auto tree = file_.offset(reader);
    if (!heap || !tree) return unreadable(message, "a link info message is cut");
    if (*heap == k_undefined) break;
    storage_.heap_objects(*heap, *tree, 4, [&](Bytes body, std::uint64_t place) {
      if (const auto found = read_link(file_, body)) link(*found, task.path, place);
    });
    if ((message.body[1] & 2) != 0)
      if (const auto order = file_.offset(reader); order && *order != k_undefined)
        storage_.records(*order, [](Bytes) {});
    break;
  }
  case k_attribute: {
    if (shared) {
      trouble({Trouble::Kind::unsupported, task.address, "an attribute lies in a shared heap"});
      break;
    }
    auto found = read_attribute(file_, message.body);
    if (found)
      attribute(std::move(*found), task.path, message.place);
    else
      unreadable(message, "an attribute can't be read");
    break;
  }
  case k_attribute_info: {
    const bool ordered = message.body.size() > 1 && (message.body[1] & 1) != 0;
    reader.skip(ordered ? 4 : 2);
    const auto heap = file_.offset(reader);
    const auto tree = file_.offset(reader);
    if (!heap || !tree) return unreadable(message, "an attribute info message is cut");
    if (*heap == k_undefined) break;
    storage_.heap_objects(*heap, *tree, 0, [&](Bytes body, std::uint64_t place) {
      auto found = read_attribute(file_, body);
      if (found)
        attribute(std::move(*found), task.path, place);
      else
        trouble({Trouble::Kind::malformed, task.address, "an attribute can't be read"});
    });
    if ((message.body[1] & 2) != 0)
      if (const auto order = file_.offset(reader); order && *order != k_undefined)
        storage_.records(*order, [](Bytes) {});
    break;
  }
  case k_comment:
    scan_text_value(session_, join(task.path, "comment"), as_text(message.body), message.place);
    break;
  case k_fill:
  case k_fill_old:
    if (message.body.size() >= 64) bytes("fill value", message.body);
    break;
  case k_driver:
    session_.find(k_driver_rule, message.place, message.body.size(), "a driver info message");
    break;
  case k_shared_table:
    trouble({Trouble::Kind::unsupported, task.address, "messages are kept in a shared heap"});
    break;
  case k_cache_image:
    session_.find(k_structure, message.place, message.body.size(),
                  "metadata is read from a cache image instead of its place");
    trouble({Trouble::Kind::unsupported, task.address, "a metadata cache image"});
    break;
  default:
    if (message.type > k_last_message && tell(k_structure))
      session_.find(k_structure, message.place, message.body.size(),
                    "an unknown message of type " + std::to_string(message.type));
    break;
  }
}

void Walk::group(std::uint64_t tree, std::uint64_t heap, const std::string& path) {
  if (tree == k_undefined) return;
  storage_.old_group(tree, heap, [&](const Link& found) { link(found, path, file_.place(tree)); });
}

void Walk::link(const Link& link, const std::string& path, std::uint64_t place) {
  const std::string from = join(path, link.name);
  switch (link.kind) {
  case Link::Kind::hard:
    if (link.address == k_undefined)
      trouble({Trouble::Kind::malformed, 0, "a link leads nowhere"});
    else if (!objects_.contains(link.address))
      tasks_.push_back({link.address, from});
    break;
  case Link::Kind::soft:
    if (soft_.size() < k_max_soft) soft_.push_back({from + " → " + link.target, place});
    break;
  case Link::Kind::external:
    session_.refer("file", place, link.file);
    if (tell(k_external_link))
      session_.find(k_external_link, place, 0, from + " → " + link.file + ":" + link.target);
    break;
  case Link::Kind::user:
    if (tell(k_user_link)) session_.find(k_user_link, place, 0, from + " " + link.target);
    break;
  }
}

std::vector<std::string> Walk::texts(const Attribute& attribute, std::size_t most,
                                     bool configured) {
  std::vector<std::string> out;
  const Bytes value(attribute.value);
  if (attribute.type.klass == TypeClass::text && attribute.type.size != 0) {
    const std::uint64_t count = attribute.space.elements().value_or(0);
    for (std::uint64_t i = 0; i < std::min<std::uint64_t>(count, most); ++i) {
      const std::uint64_t at = i * attribute.type.size;
      if (at + attribute.type.size > value.size()) break;
      out.emplace_back(as_text(value.subspan(static_cast<std::size_t>(at), attribute.type.size)));
    }
    return out;
  }
  if (attribute.type.klass != TypeClass::variable) return out;
  Reader reader(value);
  while (out.size() < most) {
    const auto length = reader.le<std::uint32_t>();
    const auto heap = file_.offset(reader);
    const auto index = reader.le<std::uint32_t>();
    if (!length || !heap || !index) break;
    if (*length == 0 || *heap == 0 || *heap == k_undefined) continue;
    const HeapObject* const object = storage_.heap_object(*heap, *index);
    if (object == nullptr) continue;
    const std::uint64_t size = std::min<std::uint64_t>(object->size, k_max_text);
    if (configured) read_.insert(object->place);
    const Bytes bytes = file_.source().view(object->place, static_cast<std::size_t>(size));
    out.emplace_back(as_text(bytes));
  }
  return out;
}

std::optional<std::string> Walk::first_text(const Attribute& attribute) {
  auto found = texts(attribute, 1);
  if (found.empty()) return std::nullopt;
  found[0].resize(std::min(found[0].find('\0'), found[0].size()));
  return std::move(found[0]);
}

void Walk::matlab(const std::string& klass, std::uint64_t place) {
  if (klass == "function_handle" || klass.starts_with("java.") || klass.starts_with("javax."))
    session_.find(k_matlab, place, 0, klass);
}

void Walk::attribute(Attribute attribute, const std::string& path, std::uint64_t place) {
  if (attribute.shared_type != k_undefined) {
    const auto type = committed(attribute.shared_type);
    if (!type)
      return trouble({Trouble::Kind::malformed, attribute.shared_type, "no type is there"});
    attribute.type = *type;
  }
  const std::string& name = attribute.name;
  keras_ =
      keras_ || std::find(k_keras_marks.begin(), k_keras_marks.end(), name) != k_keras_marks.end();
  if (name == "MATLAB_class")
    if (const auto klass = first_text(attribute)) matlab(*klass, place);
  if (name == "MATLAB_object_decode" && !attribute.value.empty() && attribute.value[0] == 1)
    session_.find(k_matlab, place, 0, path + " is a function handle");
  if (name == "julia type") {
    // A compound of the name, as text, and the parameters.
    Attribute text = attribute;
    text.type.klass = TypeClass::variable;
    if (const auto type = first_text(text); type && is_julia_code(*type) && tell(k_julia))
      session_.find(k_julia, place, 0, *type);
  }
  const std::string stem = without_number(name);
  if (stem == "model_config" || stem == "training_config") {
    std::string& all = configuration_[stem];
    for (const std::string& text: texts(attribute, 4096, true))
      if (all.size() + text.size() <= k_max_text)
        all += text.substr(0, text.find('\0'));
      else
        trouble({Trouble::Kind::budget, 0, "a configuration is longer than 64 MiB"});
    return;
  }
  attribute_values(attribute, path, place);
}

void Walk::attribute_values(const Attribute& attribute, const std::string& path,
                            std::uint64_t place) {
  const std::string name = join(path, "@" + attribute.name);
  const Bytes value(attribute.value);
  if (attribute.type.has_variable) {
    // What the heaps hold is looked at collection by collection.
    Reader reader(value);
    while (reader.remaining() >= 8U + file_.superblock().offset_size) {
      reader.skip(4);
      const auto heap = file_.offset(reader);
      reader.skip(4);
      if (attribute.type.klass != TypeClass::variable) break;
      if (heap && *heap != 0 && *heap != k_undefined) storage_.collection(*heap);
    }
    // One text is a text, and may be a configuration.
    if (attribute.type.klass == TypeClass::variable && attribute.space.dimensions.empty())
      for (const std::string& text: texts(attribute, 1, true))
        if (text.size() >= k_least)
          scan_text_value(session_, name, std::string_view(text).substr(0, text.find('\0')), place);
    return;
  }
  if (value.size() < k_least) return;
  if (attribute.type.klass == TypeClass::text && attribute.space.dimensions.empty())
    scan_text_value(session_, name, as_text(value), place);
  else if (attribute.type.has_text || attribute.type.has_opaque || attribute.type.bytes)
    bytes(name, value);
}

void Walk::configuration(const std::string& path) {
  for (const auto& [name, text]: configuration_) {
    MemorySource inner(as_bytes(text));
    session_.embedded(path == "/" ? name : join(path, name), inner);
  }
  configuration_.clear();
}

void Walk::overlaps() {
  auto& extents = file_.extents();
  std::sort(extents.begin(), extents.end(), [](const File::Extent& a, const File::Extent& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  const auto same = [](const File::Extent& a, const File::Extent& b) {
    return a.begin == b.begin && a.end == b.end;
  };
  extents.erase(std::unique(extents.begin(), extents.end(), same), extents.end());
  std::uint64_t end = 0;
  for (const File::Extent& extent: extents) {
    if (extent.begin < end && tell(k_overlap))
      session_.find(k_overlap, extent.begin, std::min(end, extent.end) - extent.begin,
                    "bytes of two structures");
    end = std::max(end, extent.end);
  }
}

void Walk::heaps(std::uint64_t address, std::uint64_t size) {
  // Values in global heaps that nothing else looks at: those of datasets.
  constexpr std::size_t k_step = std::size_t{1} << 20;
  constexpr std::string_view k_magic{"GCOL\1\0\0\0", 8};
  for (std::uint64_t at = address; at + k_magic.size() <= address + size;) {
    const Bytes view = file_.source().view(
        at, static_cast<std::size_t>(std::min<std::uint64_t>(k_step, address + size - at)));
    const std::size_t hit = as_text(view).find(k_magic);
    if (hit == std::string_view::npos) {
      if (view.size() <= k_magic.size()) return;
      at += view.size() - (k_magic.size() - 1);
      continue;
    }
    at += hit;
    const std::uint64_t head = at - file_.superblock().begin;
    const auto bytes = file_.read(head, 8U + file_.superblock().length_size);
    Reader reader(bytes ? Bytes(*bytes).subspan(8) : Bytes());
    const std::uint64_t length = bytes ? file_.length(reader).value_or(0) : 0;
    if (length >= 64 && length <= address + size - at) {
      storage_.collection(head);
      at += length;
    } else {
      at += k_magic.size();
    }
  }
}

void Walk::leftovers() {
  const std::uint64_t end =
      std::min(file_.size(), file_.superblock().begin + file_.superblock().end);
  auto gaps = [&] {
    std::vector<std::pair<std::uint64_t, std::uint64_t>> out;
    std::uint64_t at = 0;
    for (const File::Extent& extent: file_.extents()) {
      if (extent.begin > at) out.emplace_back(at, std::min(extent.begin, end));
      at = std::max(at, extent.end);
    }
    if (at < end) out.emplace_back(at, end);
    return out;
  };
  overlaps();
  for (const auto& [begin, stop]: gaps())
    if (begin < stop) heaps(begin, stop - begin);
  overlaps();
  for (const auto& [begin, stop]: gaps()) {
    if (stop <= begin || stop - begin < k_least) continue;
    // Most of it is zero: space that was set aside.
    bool blank = true;
    for (std::uint64_t at = begin; at < stop && blank;) {
      const Bytes view = file_.source().view(
          at, static_cast<std::size_t>(std::min<std::uint64_t>(1 << 20, stop - at)));
      if (view.empty()) break;
      blank = is_blank(view);
      at += view.size();
    }
    if (blank) continue;
    MarkedSource inner(file_.source(), begin, stop - begin);
    session_.embedded("unused@" + std::to_string(begin), inner);
  }
}

bool Walk::run() {
  user_block();
  superblock();
  while (!tasks_.empty()) {
    const Task task = std::move(tasks_.front());
    tasks_.pop_front();
    visit(task);
  }
  for (const SoftLink& soft: soft_) {
    if (!tell(k_soft_link)) break;
    FindOptions options;
    // Keras writes none: there a link swaps one layer's weights for another's.
    if (keras_) options.severity = Severity::suspicious;
    session_.find(k_soft_link, soft.place, 0, soft.text, options);
  }
  leftovers();
  storage_.each_collection([&](std::uint64_t, const std::vector<HeapObject>& objects) {
    for (const HeapObject& object: objects)
      value(object);
  });
  small_values();
  trouble(storage_.trouble());
  return !broken_;
}

} // namespace hubgate::hdf5
