// Apache Arrow: the IPC stream, the IPC file (which is Feather 2), and Feather 1. See README.md.
#include "scanner/core/format.hpp"
#include "scanner/formats/arrow/batch.hpp"
#include "scanner/formats/arrow/feather.hpp"

#include <algorithm>
#include <map>

namespace hubgate {
namespace {

using namespace arrow;
using namespace std::string_view_literals;

constexpr std::string_view k_file_magic = "ARROW1\0\0"sv;
constexpr std::uint32_t k_continuation = 0xffffffff;
constexpr std::uint64_t k_max_metadata = std::uint64_t{256} << 20;

constexpr std::array<Rule, 5> k_rules{{
    k_rule_python_extension,
    k_rule_extension_pickle,
    {"arrow-structure", "structure", Severity::suspicious, Reach::load, "CWE-125", "AML.T0010.002",
     "DAT-007", "a message, buffer or block lies where it can't be"},
    {"arrow-bomb", "bomb", Severity::suspicious, Reach::load, "CWE-409", "AML.T0029", "DAT-007",
     "a buffer unpacks to more than its size can honestly hold"},
    {"arrow-hidden-bytes", "structure", Severity::informational, Reach::data, "CWE-436",
     "AML.T0010.002", "DAT-007", "bytes lie between the messages and the footer"},
}};

const Rule& k_structure = k_rules[2];
const Rule& k_bomb = k_rules[3];
const Rule& k_hidden = k_rules[4];

// Message.fbs, union MessageHeader.
enum Header : std::uint8_t {
  k_schema = 1,
  k_dictionary = 2,
  k_record = 3,
  k_tensor = 4,
  k_sparse = 5
};

bool first_is_schema(Source& source, std::uint64_t begin, std::uint64_t length) {
  Flatbuffer buffer(source, begin, length, 1000);
  const auto message = buffer.root();
  return message && buffer.number<std::int16_t>(*message, 0, 0) <= 4 &&
         buffer.number<std::uint8_t>(*message, 1, 0) == k_schema && buffer.table(*message, 2) &&
         buffer.failure() == FlatFailure::none;
}

struct Prefix {
  std::uint64_t metadata = 0; ///< offset of it
  std::uint32_t length = 0;
};

std::optional<Prefix> read_prefix(Source& source, std::uint64_t at) {
  Reader in(source.view(at, 8));
  auto length = in.le<std::uint32_t>();
  if (!length) return std::nullopt;
  if (*length != k_continuation) return Prefix{at + 4, *length}; // before version 0.15
  length = in.le<std::uint32_t>();
  if (!length) return std::nullopt;
  return Prefix{at + 8, *length};
}

Claim probe(const Probe& probe) {
  if (starts_with(probe.head, k_file_magic)) return Claim::yes;
  if (is_feather_one(probe.head)) return Claim::yes;
  if (probe.head.size() < 32) return Claim::no;
  // A stream: the root of a flatbuffer behind a length that is a multiple of eight.
  Reader in(probe.head);
  auto length = in.le<std::uint32_t>().value_or(0);
  if (length == k_continuation) length = in.le<std::uint32_t>().value_or(0);
  const auto root = in.le<std::uint32_t>().value_or(0);
  const bool possible = length >= 16 && length <= k_max_metadata &&
                        (length + in.position()) % 4 == 0 && root >= 4 && root < 256 &&
                        root % 4 == 0;
  return possible ? Claim::maybe : Claim::no;
}

class Scan {
public:
  Scan(Source& source, Session& session)
      : source_(source), session_(session), judge_(session),
        walk_(source, session, judge_, rules_) {}
  Reading run();

private:
  enum class Step { message, end, none, broken };
  Step message();
  Step body(Flatbuffer& buffer, const FlatTable& message, std::uint64_t begin,
            std::uint64_t length);
  Reading footer();
  void blocks(Flatbuffer& buffer, const FlatTable& footer);
  void between(std::uint64_t end);

  Source& source_;
  Session& session_;
  ValueJudge judge_;
  BatchRules rules_{k_structure, k_bomb};
  BatchWalk walk_;
  bool file_ = false;
  std::uint64_t at_ = 0;
  std::optional<Schema> schema_;
  std::map<std::uint64_t, std::uint64_t> messages_; ///< where they begin and end
  bool fine_ = true;
};

Scan::Step Scan::body(Flatbuffer& buffer, const FlatTable& message, std::uint64_t begin,
                      std::uint64_t length) {
  const auto kind = buffer.number<std::uint8_t>(message, 1, 0);
  const auto header = buffer.table(message, 2);
  if (!header) return Step::broken;
  scan_metadata(buffer, message, 4, "message", session_);
  switch (kind) {
  case k_schema: {
    auto schema =
        read_schema(buffer, *header, session_, buffer.number<std::int16_t>(message, 0, 0) < 4);
    if (!schema) return Step::broken;
    schema_ = std::move(schema);
    if (schema_->big_endian)
      session_.gap(Reason::unsupported, Reach::data, begin, "numbers are big-endian");
    return Step::message;
  }
  case k_record:
  case k_dictionary: {
    if (!schema_) return Step::broken;
    if (schema_->big_endian) return Step::message;
    const auto batch = kind == k_record ? header : buffer.table(*header, 1);
    if (!batch) return Step::broken;
    const std::vector<BufferSpec>* specs = &schema_->columns;
    if (kind == k_dictionary) {
      const auto known = schema_->dictionaries.find(buffer.number<std::int64_t>(*header, 0, 0));
      if (known == schema_->dictionaries.end()) return Step::broken;
      specs = &known->second;
    }
    fine_ = walk_.run(buffer, *batch, *specs, schema_->names, begin, length) && fine_;
    return Step::message;
  }
  case k_tensor:
  case k_sparse:
    return Step::message; // numbers
  default:
    return Step::broken;
  }
}

Scan::Step Scan::message() {
  const auto prefix = read_prefix(source_, at_);
  if (!prefix) {
    const bool nothing = source_.view(at_, 1).empty();
    return nothing && !messages_.empty() ? Step::end : Step::broken;
  }
  if (prefix->length == 0) {
    at_ = prefix->metadata;
    return Step::end;
  }
  if (prefix->length > k_max_metadata) return Step::broken;
  const std::uint64_t behind = prefix->metadata + prefix->length;
  if (source_.view(behind - 1, 1).empty()) return Step::broken;
  Flatbuffer buffer(source_, prefix->metadata, prefix->length);
  const auto message = buffer.root();
  const auto stated = message ? buffer.number<std::int64_t>(*message, 3, 0) : -1;
  if (!message || stated < 0 || buffer.failure() != FlatFailure::none) return Step::broken;
  const auto length = static_cast<std::uint64_t>(stated);
  if (length > ~std::uint64_t{0} / 4 ||
      (length > 0 && source_.view(behind + length - 1, 1).empty())) {
    session_.gap(Reason::truncated, Reach::data, at_, "a message ends behind the end");
    return Step::broken;
  }
  const Step step = body(buffer, *message, behind, length);
  if (step == Step::broken) return step;
  messages_[at_] = behind + length;
  at_ = behind + length;
  session_.release(at_);
  return step;
}

// Batches that only the footer knows: some writers begin a file with something that is no message.
void Scan::blocks(Flatbuffer& buffer, const FlatTable& footer) {
  for (const std::uint16_t id: {std::uint16_t{2}, std::uint16_t{3}}) {
    const auto list = buffer.vector(footer, id, 24);
    for (std::uint32_t i = 0; list && i < list->count; ++i) {
      const auto where = buffer.load<std::uint64_t>(list->at + std::uint64_t{i} * 24);
      if (where && messages_.contains(*where)) continue;
      at_ = where.value_or(~std::uint64_t{0} / 2);
      if (where && *where < ~std::uint64_t{0} / 2 && message() == Step::message) continue;
      session_.find(k_structure, buffer.offset(list->at), 0,
                    "the footer names a batch at " + std::to_string(at_) + " where none is");
      session_.gap(Reason::malformed, Reach::load, buffer.offset(list->at),
                   "a batch that the footer names can't be read");
      fine_ = false;
      return;
    }
  }
}

// Bytes before the footer that are no message are looked at like a file of their own.
void Scan::between(std::uint64_t end) {
  constexpr std::uint64_t k_shortest = 64; // an end mark and padding take less
  std::uint64_t at = 8;
  messages_[end] = end;
  for (const auto& [begin, behind]: messages_) {
    if (begin > at && begin - at > k_shortest) {
      session_.find(k_hidden, at, begin - at, std::to_string(begin - at) + " bytes");
      SubSource hole(source_, at, begin - at);
      session_.embedded("between messages@" + std::to_string(at), hole);
    }
    at = std::max(at, behind);
  }
}

// A file's footer repeats the schema and says where the batches are: readers go by it alone.
Reading Scan::footer() {
  const std::uint64_t size = source_.wait_end();
  const std::uint64_t back = std::min<std::uint64_t>(size, std::uint64_t{1} << 20);
  const Bytes tail = source_.view(size - back, static_cast<std::size_t>(back));
  const std::size_t magic = as_text(tail).rfind("ARROW1");
  const std::uint64_t magic_at = size - back + (magic == std::string_view::npos ? 0 : magic);
  if (magic == std::string_view::npos || magic < 4 || magic_at < 16) {
    session_.gap(Reason::truncated, Reach::load, size, "no footer");
    TailSource content(source_,
                       std::max<std::uint64_t>(at_, 8)); // a magic may stand before anything
    session_.embedded("content", content);
    return Reading::broken;
  }
  const auto length = Reader(tail.subspan(magic - 4)).le<std::uint32_t>().value_or(0);
  const std::uint64_t end = magic_at + 6;
  session_.ends_at(end);
  if (length == 0 || length > magic_at - 4 - 8) {
    session_.find(k_structure, magic_at - 4, 4, "a footer of " + std::to_string(length) + " bytes");
    session_.gap(Reason::malformed, Reach::load, magic_at, "the footer can't be found");
    return Reading::broken;
  }
  const std::uint64_t begin = magic_at - 4 - length;
  Flatbuffer buffer(source_, begin, length);
  const auto table = buffer.root();
  const auto schema = table ? buffer.table(*table, 1) : std::nullopt;
  auto read =
      schema ? read_schema(buffer, *schema, session_, buffer.number<std::int16_t>(*table, 0, 0) < 4)
             : std::nullopt;
  if (!read) {
    session_.find(k_structure, begin, length, "a footer without a schema");
    session_.gap(Reason::malformed, Reach::load, begin, "the footer can't be read");
    return Reading::broken;
  }
  schema_ = std::move(read);
  scan_metadata(buffer, *table, 4, "file", session_);
  blocks(buffer, *table);
  between(begin);
  session_.release(end);
  return fine_ ? Reading::valid : Reading::broken;
}

Reading Scan::run() {
  const Bytes head = source_.view(0, 8);
  file_ = starts_with(head, k_file_magic);
  at_ = file_ ? 8 : 0;
  if (!file_) {
    const auto prefix = read_prefix(source_, 0);
    if (!prefix || prefix->length > k_max_metadata ||
        !first_is_schema(source_, prefix->metadata, prefix->length))
      return Reading::none;
  }
  Step step = Step::message;
  while (step == Step::message) {
    step = message();
    if (!session_.budget().time_left()) {
      session_.gap(Reason::budget, Reach::data, at_, "out of time");
      return Reading::broken;
    }
  }
  if (file_) return footer();
  if (step == Step::broken) {
    if (!messages_.empty()) session_.ends_at(at_);
    session_.gap(source_.view(at_ + 8, 1).empty() ? Reason::truncated : Reason::malformed,
                 Reach::load, at_, "a message can't be read");
    return Reading::broken;
  }
  session_.ends_at(at_);
  return fine_ ? Reading::valid : Reading::broken;
}

Reading scan(Source& source, Session& session) {
  if (is_feather_one(source.view(0, 16)))
    return scan_feather_one(source, session, {k_structure, k_bomb});
  return Scan(source, session).run();
}

} // namespace

extern const Format format_arrow;
const Format format_arrow{"arrow", "arrow", probe, scan, k_rules};

} // namespace hubgate
