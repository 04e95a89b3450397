// What torch wrote before 1.6: pickles with raw storages between or behind them
// (torch/serialization.py, _legacy_load and legacy_load). The pickle format scans the pickles; here
// the bytes that are none are accounted for. See README.md.
#include "scanner/core/cursor.hpp"
#include "scanner/core/format.hpp"
#include "scanner/core/session.hpp"
#include "scanner/formats/pytorch/storage.hpp"

#include <array>

namespace hubgate {
namespace {

using pickle::Kind;
using pickle::View;
using pytorch::Storage;
using pytorch::StorageObserver;

constexpr std::string_view k_magic_bytes = "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
constexpr std::string_view k_magic_text = "119547037146038801333356"; ///< 0x1950a86a20f9469cfc6c
constexpr std::uint64_t k_max_storages = 1'000'000;
constexpr std::uint64_t k_max_keys_pickle = std::uint64_t{64} << 20;

constexpr std::array<Rule, 1> k_rules{{
    {"pytorch-legacy-storage", "structure", Severity::suspicious, Reach::load, "CWE-20",
     "AML.T0076", "PTH-006 PTH-008", "a storage behind the pickles is missing or has another size"},
}};

const Rule& k_storage = k_rules[0];

Claim probe(const Probe& probe) {
  const std::string_view head = as_text(probe.head);
  if (head.empty()) return Claim::no;
  // The magic is an integer, in whatever way a pickle writes it, at the very beginning; the
  // members "storages" and "tensors" of the tar begin with a small count.
  if (head.substr(0, 128).find(k_magic_bytes) != std::string_view::npos ||
      head.substr(0, 128).find(k_magic_text) != std::string_view::npos)
    return Claim::yes;
  return head.size() > 8 && head[0] == '\x80' &&
                 (head[2] == 'K' || head[2] == 'M' || head[2] == 'J')
             ? Claim::maybe
             : Claim::no;
}

// Value and end of one pickle.
class Top : public StorageObserver {
public:
  void on_stop(const View& value, std::uint64_t end) override {
    if (end_ != 0) return;
    end_ = end;
    number = value.integer();
    is_long = value.kind() == Kind::integer && !number;
    if (value.kind() == Kind::tuple && value.size() == 3) {
      key = value.item(0).render(64);
      second = value.item(1).render(64);
      type = value.item(2).name();
    }
    is_list = value.kind() == Kind::list;
  }

  std::optional<std::int64_t> number;
  bool is_long = false; ///< an integer beyond 64 bits
  std::string key;      ///< of a tuple of three
  std::string second;
  std::string type;
  bool is_list = false;

private:
  std::uint64_t end_ = 0;
};

class Scan {
public:
  Scan(Source& source, Session& session) : source_(source), session_(session) {}
  Reading run();

private:
  bool read(Top& top);
  Reading stacked();
  Reading members();
  bool keys(std::uint64_t begin, std::uint64_t end, std::vector<std::string>& out);
  bool raw(const std::string& name, std::optional<std::uint64_t> elements, std::uint64_t item_size);
  bool raw_tensor();
  Reading broken(std::string_view detail);
  Reading wrong(const std::string& evidence);
  Reading done();

  Source& source_;
  Session& session_;
  std::uint64_t at_ = 0;
};

// The next pickle; false when it does not end.
bool Scan::read(Top& top) {
  const auto result = pickle::scan_pickle(
      source_, session_, at_,
      {.streams = pickle::Options::Streams::one, .reports = pickle::Options::Reports::none}, &top);
  if (result.state != pickle::Result::State::complete) return false;
  at_ = result.end;
  return true;
}

Reading Scan::broken(std::string_view detail) {
  session_.gap(Reason::truncated, Reach::load, at_, detail);
  return Reading::broken;
}

// What follows the break is an object of unknown kind again.
Reading Scan::wrong(const std::string& evidence) {
  session_.find(k_storage, at_, 0, evidence);
  session_.ends_at(at_);
  return Reading::valid;
}

Reading Scan::done() {
  session_.ends_at(at_);
  return Reading::valid;
}

// The list of keys as torch writes it: strings and what puts them into a list. A view of the list
// keeps its first elements only, and the order of all of them decides where each storage lies.
bool Scan::keys(std::uint64_t begin, std::uint64_t end, std::vector<std::string>& out) {
  if (end - begin > k_max_keys_pickle) return false;
  Cursor in(source_, begin, end);
  const auto text = [&](std::optional<std::uint64_t> length) {
    const auto bytes = length && *length <= Cursor::k_window
                           ? in.take(static_cast<std::size_t>(*length))
                           : std::nullopt;
    if (bytes) out.emplace_back(as_text(*bytes));
    return bytes.has_value();
  };
  for (;;) {
    const auto opcode = in.le<std::uint8_t>();
    if (!opcode) return false;
    switch (*opcode) {
    case '.':
      return true;
    case ']':  // EMPTY_LIST
    case '(':  // MARK
    case 'e':  // APPENDS
    case 'a':  // APPEND
    case 0x94: // MEMOIZE
      break;
    case 0x80: // PROTO
    case 'q':  // BINPUT
      if (!in.take(1)) return false;
      break;
    case 'r': // LONG_BINPUT
      if (!in.take(4)) return false;
      break;
    case 0x95: // FRAME
      if (!in.take(8)) return false;
      break;
    case 0x8c: // SHORT_BINUNICODE
    case 'U':  // SHORT_BINSTRING
      if (!text(in.le<std::uint8_t>())) return false;
      break;
    case 'X': // BINUNICODE
    case 'T': // BINSTRING
      if (!text(in.le<std::uint32_t>())) return false;
      break;
    default:
      return false;
    }
  }
}

// One storage: i64 number of elements, then the elements. Scanned like a member that nobody claims.
bool Scan::raw(const std::string& name, std::optional<std::uint64_t> elements,
               std::uint64_t item_size) {
  Cursor in(source_, at_);
  const auto stated = in.le<std::uint64_t>();
  std::uint64_t bytes = 0;
  if (!stated || (elements && *stated != *elements) || item_size == 0 ||
      __builtin_mul_overflow(*stated, item_size, &bytes) ||
      bytes > std::uint64_t{INT64_MAX} - at_ - 8)
    return false;
  const std::uint64_t begin = at_ + 8;
  if (bytes > 0 && source_.view(begin + bytes - 1, 1).empty()) return false;
  at_ = begin + bytes;
  SubSource content(source_, begin, bytes);
  if (bytes > 0) session_.embedded("storage " + name, content);
  return true;
}

// A record of "tensors": i32 dimensions, 4 bytes, sizes, strides, offset.
bool Scan::raw_tensor() {
  Cursor in(source_, at_);
  const auto dimensions = in.le<std::uint32_t>();
  if (!dimensions || *dimensions > 64) return false;
  if (!in.take(4 + std::size_t{16} * *dimensions + 8)) return false;
  at_ = in.position();
  return true;
}

Reading Scan::stacked() {
  // protocol version, system information, the object, the keys of its storages
  Top protocol;
  Top system;
  Top object;
  Top list;
  if (!read(protocol) || !read(system) || !read(object)) return broken("the pickles break off");
  const std::uint64_t keys_begin = at_;
  if (!read(list)) return broken("the list of storages breaks off");
  std::vector<std::string> names;
  if (!list.is_list || !keys(keys_begin, at_, names))
    return wrong("the list of storages is not a list of names");
  if (names.size() > k_max_storages) return broken("too many storages");
  for (const std::string& name: names) {
    const auto known = object.storages().find(name);
    if (known == object.storages().end()) return wrong("no tensor speaks of the storage " + name);
    const Storage& storage = known->second;
    if (storage.conflicting || !raw(name, storage.elements, storage.item_size))
      return wrong("the storage " + name + " of " + std::to_string(storage.elements) + " x " +
                   storage.type + " is not there");
  }
  if (names.size() < object.storages().size())
    session_.find(k_storage, keys_begin, 0, "storages are missing from the list");
  return done();
}

// "storages": count, then (key, location, type) and the raw bytes each; then a pickle of views.
// "tensors": count, then (key, storage, type) and a raw record each.
Reading Scan::members() {
  Top count;
  if (!read(count) || !count.number || *count.number < 0 ||
      static_cast<std::uint64_t>(*count.number) > k_max_storages)
    return Reading::none;
  if (*count.number == 0) return Reading::none; // nothing raw in it: pickles like any others
  for (std::int64_t i = 0; i < *count.number; ++i) {
    Top args;
    if (!read(args) || args.type.empty())
      return i == 0 ? Reading::none : broken("a record breaks off");
    if (args.type.ends_with("Storage")) {
      if (!raw(args.key, std::nullopt, pytorch::item_size_of(args.type)))
        return wrong("the storage " + args.key + " is not there");
    } else if (args.type.ends_with("Tensor")) {
      if (!raw_tensor()) return wrong("the tensor " + args.key + " is not there");
    } else {
      return i == 0 ? Reading::none : wrong("a record of the type " + args.type);
    }
    if (!session_.budget().time_left()) {
      session_.gap(Reason::budget, Reach::load, at_, "out of time");
      return Reading::broken;
    }
  }
  // The views behind the storages.
  if (!source_.view(at_, 1).empty()) {
    Top views;
    const std::uint64_t before = at_;
    if (!read(views)) at_ = before;
  }
  return done();
}

Reading Scan::run() {
  const std::string_view head = as_text(source_.view(0, 128));
  const bool magic = head.find(k_magic_bytes) != std::string_view::npos ||
                     head.find(k_magic_text) != std::string_view::npos;
  if (!magic) return members();
  Top first;
  if (!read(first) || !first.is_long) return Reading::none;
  return stacked();
}

Reading scan(Source& source, Session& session) {
  return Scan(source, session).run();
}

} // namespace

extern const Format format_pytorch_legacy;
const Format format_pytorch_legacy{"pytorch-legacy", "pickle", probe, scan, k_rules};

} // namespace hubgate
