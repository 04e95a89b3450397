// Tensorizer (.tensors): the same facts of a tensor stand in an index and in front of its bytes,
// and readers believe one or the other (tensorizer/serialization.py). See README.md.
#include "scanner/core/cursor.hpp"
#include "scanner/core/format.hpp"
#include "scanner/core/session.hpp"
#include "scanner/formats/numpy/npy.hpp"

#include <algorithm>
#include <array>
#include <string>

namespace hubgate {
namespace {

constexpr std::string_view k_magic = "|TZR|";
constexpr std::uint64_t k_header = 65; ///< magic, version, flags, sizes, count
constexpr std::uint32_t k_newest = 5;
constexpr std::uint64_t k_max_index = std::uint64_t{256} << 20;
constexpr std::uint64_t k_max_tensors = 1'000'000;
constexpr std::size_t k_told = 5;
constexpr std::size_t k_step = std::size_t{64} << 10;

enum Flag : std::uint8_t { k_encrypted = 1, k_versioned = 2 };

constexpr std::array<Rule, 2> k_rules{{
    {"tensorizer-two-headers", "structure", Severity::suspicious, Reach::load, "CWE-436",
     "AML.T0076", "PTH-022", "the index says of a tensor what the header in front of it does not"},
    {"tensorizer-extent", "structure", Severity::suspicious, Reach::load, "CWE-119", "AML.T0076",
     "PTH-022", "a tensor lies outside of the file, overlaps another or has another size"},
}};

const Rule& k_two_headers = k_rules[0];
const Rule& k_extent = k_rules[1];

// What both places say of a tensor.
struct Facts {
  std::string name;
  std::uint8_t type = 0;
  std::string dtype;
  std::vector<std::uint64_t> shape;
  std::uint64_t length = 0;
};

struct Entry : Facts {
  std::uint64_t header = 0;
  std::uint64_t data = 0;
  bool wide = false; ///< sizes of 64 bits (data version 5)
};

struct Extent {
  std::uint64_t begin;
  std::uint64_t end;
};

template <std::integral Length> bool read_text(Cursor& in, std::string& out) {
  const auto length = in.le<Length>();
  if (!length) return false;
  const auto bytes = in.take(*length);
  if (!bytes) return false;
  out = as_text(*bytes);
  return true;
}

bool read_shape(Cursor& in, bool wide, std::vector<std::uint64_t>& out) {
  const auto rank = in.le<std::uint8_t>();
  if (!rank) return false;
  for (unsigned i = 0; i < *rank; ++i) {
    const auto size =
        wide ? in.le<std::uint64_t>() : std::optional<std::uint64_t>(in.le<std::uint32_t>());
    if (!size) return false;
    out.push_back(*size);
  }
  return true;
}

// Bytes of the tensor by shape and dtype; a dtype that numpy lacks is stored as "stored\0real".
std::optional<std::uint64_t> size_of(const Facts& facts) {
  const auto dtype =
      numpy::dtype_of(std::string_view(facts.dtype).substr(0, facts.dtype.find('\0')));
  if (!dtype || dtype->has_object) return std::nullopt;
  std::uint64_t bytes = dtype->item_size;
  for (const std::uint64_t size: facts.shape)
    if (__builtin_mul_overflow(bytes, size, &bytes)) return std::nullopt;
  return bytes;
}

class Scan {
public:
  Scan(Source& source, Session& session) : source_(source), session_(session) {}
  Reading run();

private:
  bool index(Cursor& in, std::uint64_t end);
  bool tensor(const Entry& entry);
  bool zeros(std::uint64_t begin, std::uint64_t end);
  bool layout();
  void tell(const Rule& rule, std::uint64_t offset, const std::string& evidence);
  Reading broken(std::uint64_t at, std::string_view detail);

  Source& source_;
  Session& session_;
  std::uint64_t size_ = 0;
  std::uint64_t count_ = 0;
  bool versioned_ = false;
  bool encrypted_ = false;
  std::vector<Entry> entries_;
  std::vector<Extent> extents_;
  std::size_t told_ = 0;
};

void Scan::tell(const Rule& rule, std::uint64_t offset, const std::string& evidence) {
  if (++told_ <= k_told) session_.find(rule, offset, 0, evidence);
}

Reading Scan::broken(std::uint64_t at, std::string_view detail) {
  session_.gap(Reason::malformed, Reach::load, at, detail);
  return Reading::broken;
}

bool Scan::index(Cursor& in, std::uint64_t end) {
  for (std::uint64_t i = 0; i < count_; ++i) {
    Entry entry;
    if (versioned_) {
      const auto version = in.le<std::uint32_t>();
      if (!version || *version > k_newest) return false;
      entry.wide = *version >= 5;
    }
    if (!read_text<std::uint16_t>(in, entry.name)) return false;
    const auto type = in.le<std::uint8_t>();
    if (!type || !read_text<std::uint8_t>(in, entry.dtype) ||
        !read_shape(in, entry.wide, entry.shape))
      return false;
    const auto header = in.le<std::uint64_t>();
    const auto data = in.le<std::uint64_t>();
    const auto length = in.le<std::uint64_t>();
    if (!header || !data || !length) return false;
    entry.type = *type;
    entry.header = *header;
    entry.data = *data;
    entry.length = *length;
    entries_.push_back(std::move(entry));
  }
  extents_.push_back({0, in.position()});
  return in.position() <= end;
}

// The header in front of the bytes, held against the index.
bool Scan::tensor(const Entry& entry) {
  Cursor in(source_, entry.header);
  Facts facts;
  const auto length = in.le<std::uint64_t>();
  if (!length || *length > size_ - std::min(size_, entry.header)) return false;
  in.skip(2); // module index
  const auto type = in.le<std::uint8_t>();
  if (!type || !read_text<std::uint16_t>(in, facts.name) ||
      !read_text<std::uint8_t>(in, facts.dtype) || !read_shape(in, entry.wide, facts.shape))
    return false;
  std::string hashes;
  if (!read_text<std::uint16_t>(in, hashes)) return false;
  // The length is the last field; in front of it may stand what decryption needs.
  in.seek(entry.header + *length - 8);
  const auto bytes = in.le<std::uint64_t>();
  if (!bytes || *length < 8) return false;

  const bool same = facts.name == entry.name && *type == entry.type && facts.dtype == entry.dtype &&
                    facts.shape == entry.shape && *bytes == entry.length &&
                    entry.data == entry.header + *length;
  if (!same)
    tell(k_two_headers, entry.header,
         entry.name + ": " + entry.dtype + " of " + std::to_string(entry.length) + " bytes at " +
             std::to_string(entry.data) + " in the index, " + facts.name + ": " + facts.dtype +
             " of " + std::to_string(*bytes) + " bytes at " +
             std::to_string(entry.header + *length) + " in its header");
  // A tensor without bytes is zeros when it is loaded (data version 4).
  const auto needed = size_of(entry);
  if (entry.length > 0 && !encrypted_ && needed != entry.length)
    tell(k_extent, entry.header,
         entry.name + ": shape and dtype don't make " + std::to_string(entry.length) + " bytes");
  if (entry.data > size_ || entry.length > size_ - entry.data) {
    tell(k_extent, entry.header, entry.name + " ends beyond the file");
    return true;
  }
  extents_.push_back({entry.header, entry.header + *length});
  if (entry.length > 0) {
    extents_.push_back({entry.data, entry.data + entry.length});
    SubSource data(source_, entry.data, entry.length);
    session_.embedded("tensor " + entry.name.substr(0, 200), data);
  }
  return true;
}

bool Scan::zeros(std::uint64_t begin, std::uint64_t end) {
  for (std::uint64_t at = begin; at < end;) {
    const Bytes piece =
        source_.view(at, static_cast<std::size_t>(std::min<std::uint64_t>(k_step, end - at)));
    if (piece.empty()) return true;
    if (!std::all_of(piece.begin(), piece.end(), [](std::uint8_t c) { return c == 0; }))
      return false;
    at += piece.size();
  }
  return true;
}

// Between the tensors is padding, and padding is zeros.
bool Scan::layout() {
  std::sort(extents_.begin(), extents_.end(),
            [](const Extent& a, const Extent& b) { return a.begin < b.begin; });
  std::uint64_t end = 0;
  for (const Extent& extent: extents_) {
    if (extent.begin < end) {
      tell(k_extent, extent.begin, "tensors overlap at " + std::to_string(extent.begin));
    } else if (!zeros(end, extent.begin)) {
      tell(k_extent, end, "bytes that belong to no tensor");
      SubSource hole(source_, end, extent.begin - end);
      session_.embedded("gap@" + std::to_string(end), hole);
    }
    end = std::max(end, extent.end);
  }
  session_.ends_at(end);
  return true;
}

Reading Scan::run() {
  size_ = source_.wait_end();
  Cursor in(source_, k_magic.size());
  const auto version = in.le<std::uint32_t>();
  const auto flags = in.le<std::uint8_t>();
  if (!version || !flags) return broken(5, "the header is cut");
  if (*version < 1 || *version > k_newest) {
    session_.gap(Reason::unsupported, Reach::load, 5,
                 "tensorizer data version " + std::to_string(*version));
    return Reading::broken;
  }
  // Flags exist since version 4; encryption is older and shows in every header.
  encrypted_ = *version >= 4 && (*flags & k_encrypted) != 0;
  versioned_ = *version >= 4 && (*flags & k_versioned) != 0;
  in.seek(57);
  const auto count = in.le<std::uint64_t>();
  const auto index_size = in.le<std::uint64_t>();
  if (!count || !index_size) return broken(57, "the header is cut");
  if (*index_size > size_ - std::min(size_, k_header + 8) || *index_size > k_max_index ||
      *count > k_max_tensors || *count > *index_size / 28) {
    session_.find(k_extent, 57, 0,
                  std::to_string(*count) + " tensors in an index of " +
                      std::to_string(*index_size) + " bytes");
    return broken(57, "the index can't be true");
  }
  count_ = *count;
  const std::uint64_t index_end = in.position() + *index_size;
  if (!index(in, index_end)) {
    session_.find(k_extent, 65, 0, "the index breaks off");
    return broken(in.position(), "the index can't be read");
  }
  for (const Entry& entry: entries_) {
    if (!session_.budget().time_left()) {
      session_.gap(Reason::budget, Reach::load, entry.header, "out of time");
      return Reading::broken;
    }
    if (!tensor(entry)) {
      session_.find(k_two_headers, entry.header, 0,
                    entry.name + " has no header where the index says");
      return broken(entry.header, "a tensor's header can't be read");
    }
  }
  layout();
  if (encrypted_) {
    session_.gap(Reason::encrypted, Reach::data, k_header, "the tensors are encrypted");
    return Reading::broken;
  }
  if (told_ > 0) return broken(k_header, "the headers can't be trusted");
  return Reading::valid;
}

Claim probe(const Probe& probe) {
  return starts_with(probe.head, k_magic) && probe.head.size() > k_magic.size() + 4 ? Claim::yes
                                                                                    : Claim::no;
}

Reading scan(Source& source, Session& session) {
  return Scan(source, session).run();
}

} // namespace

extern const Format format_tensorizer;
const Format format_tensorizer{"tensorizer", "tensorizer", probe, scan, k_rules};

} // namespace hubgate
