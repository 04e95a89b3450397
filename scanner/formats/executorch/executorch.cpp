// Flatbuffers of PyTorch for small devices: ExecuTorch programs ("ET12", schema/program.fbs of
// executorch) and mobile modules ("PTMF", torch/csrc/jit/serialization/mobile_bytecode.fbs).
#include "scanner/core/flatbuffer.hpp"
#include "scanner/core/format.hpp"
#include "scanner/core/session.hpp"
#include "scanner/formats/pytorch/script.hpp"

#include <algorithm>
#include <array>
#include <string>

namespace hubgate {
namespace {

constexpr std::uint32_t k_max_items = 100'000;
constexpr std::size_t k_max_name = 256;
constexpr std::uint64_t k_max_code = std::uint64_t{16} << 20;

constexpr std::array<Rule, 4> k_rules{{
    {"executorch-structure", "structure", Severity::suspicious, Reach::load, "CWE-125", "AML.T0029",
     "PTH-017",
     "an offset or length of the program leads out of the file, and small runtimes check few of "
     "them"},
    {"executorch-delegate", "code", Severity::informational, Reach::load, "", "AML.T0011.000",
     "PTH-017", "a part of the program is in a backend's own format, which that backend runs"},
    pytorch::k_rule_script_effect,
    pytorch::k_rule_script_operator,
}};

const Rule& k_structure = k_rules[0];
const Rule& k_delegate = k_rules[1];

bool has_identifier(Bytes head, std::string_view identifier) {
  return head.size() >= 8 && as_text(head.subspan(4, 4)) == identifier;
}

Claim probe(const Probe& probe) {
  // ET12 and its successors; the two digits are the version.
  if (probe.head.size() < 16) return Claim::no;
  return has_identifier(probe.head, "ET12") || has_identifier(probe.head, "PTMF") ? Claim::yes
                                                                                  : Claim::no;
}

class Scan {
public:
  Scan(Source& source, Session& session)
      : source_(source), session_(session), size_(source.wait_end()) {}
  Reading run() { return has_identifier(Bytes(source_.view(0, 8)), "ET12") ? program() : module(); }

private:
  Reading program();
  Reading module();
  void plan(Flatbuffer& buffer, const FlatTable& table);
  void segments(Flatbuffer& buffer, const FlatTable& table, std::uint64_t base);
  void operators(Flatbuffer& buffer, const FlatTable& table, std::uint16_t field);
  Reading refuse(std::uint64_t at, std::string_view what) {
    session_.find(k_structure, at, 0, what);
    session_.gap(Reason::malformed, Reach::load, at, what);
    return Reading::broken;
  }
  bool wrong(const Flatbuffer& buffer) const { return buffer.failure() != FlatFailure::none; }

  Source& source_;
  Session& session_;
  std::uint64_t size_;
  std::string names_; ///< of operators, one a line
  std::uint64_t end_ = 0;
  bool outside_ = false;
};

void Scan::operators(Flatbuffer& buffer, const FlatTable& table, std::uint16_t field) {
  const auto list = buffer.vector(table, field, 4);
  if (!list) return;
  for (std::uint32_t i = 0; i < list->count && i < k_max_items; ++i)
    if (const auto one = buffer.table_at(*list, i))
      if (const auto name = buffer.string(*one, 0, k_max_name)) names_ += *name + "\n";
}

void Scan::plan(Flatbuffer& buffer, const FlatTable& table) {
  constexpr std::uint16_t k_operators = 6;
  constexpr std::uint16_t k_delegates = 7;
  operators(buffer, table, k_operators);
  const auto delegates = buffer.vector(table, k_delegates, 4);
  if (!delegates) return;
  std::string ids;
  for (std::uint32_t i = 0; i < delegates->count && i < k_max_items; ++i)
    if (const auto one = buffer.table_at(*delegates, i))
      if (const auto id = buffer.string(*one, 0, k_max_name);
          id && ids.find(*id) == std::string::npos)
        ids += (ids.empty() ? "" : ", ") + *id;
  if (delegates->count > 0) session_.find(k_delegate, 0, 0, ids);
}

// DataSegment: offset from the segments' base, size.
void Scan::segments(Flatbuffer& buffer, const FlatTable& table, std::uint64_t base) {
  constexpr std::uint16_t k_segments = 4;
  const auto list = buffer.vector(table, k_segments, 4);
  if (!list) return;
  for (std::uint32_t i = 0; i < list->count && i < k_max_items; ++i) {
    const auto one = buffer.table_at(*list, i);
    if (!one) return;
    const auto offset = buffer.number<std::uint64_t>(*one, 0, 0);
    const auto length = buffer.number<std::uint64_t>(*one, 1, 0);
    if (base == 0 || base > size_ || offset > size_ - base || length > size_ - base - offset) {
      outside_ = true;
      session_.find(k_structure, 0, 0,
                    "segment " + std::to_string(i) + " of " + std::to_string(length) +
                        " bytes at " + std::to_string(offset));
      continue;
    }
    end_ = std::max(end_, base + offset + length);
    SubSource inner(source_, base + offset, length);
    session_.embedded("segment@" + std::to_string(base + offset), inner);
  }
}

Reading Scan::program() {
  std::uint64_t program_size = size_;
  std::uint64_t base = 0;
  {
    // Extended header: "eh00", u32 length, u64 size of the program, u64 base of the segments.
    Flatbuffer head(source_, 0, size_);
    const auto magic = head.bytes(8, 4);
    if (starts_with(magic, "eh00")) {
      program_size = head.load<std::uint64_t>(16).value_or(0);
      base = head.load<std::uint64_t>(24).value_or(0);
      if (program_size < 32 || program_size > size_ ||
          (base != 0 && (base < program_size || base > size_)))
        return refuse(8, "the header says that the program has " + std::to_string(program_size) +
                             " bytes and its segments begin at " + std::to_string(base));
    }
  }
  Flatbuffer buffer(source_, 0, program_size);
  const auto root = buffer.root();
  if (!root) return refuse(0, "the root table lies outside of the program");
  constexpr std::uint16_t k_plans = 1;
  constexpr std::uint16_t k_constants = 2;
  constexpr std::uint16_t k_inline_delegates = 3;
  if (const auto plans = buffer.vector(*root, k_plans, 4))
    for (std::uint32_t i = 0; i < plans->count && i < k_max_items; ++i)
      if (const auto one = buffer.table_at(*plans, i)) plan(buffer, *one);
  for (const std::uint16_t field: {k_constants, k_inline_delegates}) {
    const auto list = buffer.vector(*root, field, 4);
    if (!list) continue;
    for (std::uint32_t i = 0; i < list->count && i < k_max_items; ++i) {
      const auto one = buffer.table_at(*list, i);
      const auto data = one ? buffer.vector(*one, 0, 1) : std::nullopt;
      if (!data || data->count < 16) continue;
      SubSource inner(source_, data->at, data->count);
      session_.embedded("data@" + std::to_string(data->at), inner);
    }
  }
  end_ = program_size;
  segments(buffer, *root, base);
  if (wrong(buffer)) return refuse(buffer.failed_at(), "an offset of the program leads out of it");
  if (outside_) return refuse(0, "a segment lies outside of the file");
  pytorch::judge_operators(session_, names_, "operators", 0);
  session_.ends_at(base == 0 ? size_ : std::max(end_, program_size));
  return Reading::valid;
}

Reading Scan::module() {
  Flatbuffer buffer(source_, 0, size_);
  const auto root = buffer.root();
  if (!root) return refuse(0, "the root table lies outside of the module");
  constexpr std::uint16_t k_storages = 6;
  constexpr std::uint16_t k_sources = 8;
  if (const auto list = buffer.vector(*root, k_storages, 4))
    for (std::uint32_t i = 0; i < list->count && i < k_max_items; ++i) {
      const auto one = buffer.table_at(*list, i);
      const auto data = one ? buffer.vector(*one, 0, 1) : std::nullopt;
      if (!data || data->count < 16) continue;
      SubSource inner(source_, data->at, data->count);
      session_.embedded("storage@" + std::to_string(data->at), inner);
    }
  for (const std::uint16_t field: {std::uint16_t{1}, k_sources}) {
    const auto list = buffer.vector(*root, field, 4);
    if (!list) continue;
    for (std::uint32_t i = 0; i < list->count && i < k_max_items; ++i) {
      const auto one = buffer.table_at(*list, i);
      if (!one) break;
      const std::string name = buffer.string(*one, 0, k_max_name).value_or("");
      const auto text = buffer.string(*one, 1, k_max_code);
      if (text && field == k_sources) pytorch::judge_script(session_, *text, name, one->at);
      if (text && field != k_sources) {
        MemorySource inner(as_bytes(*text));
        session_.embedded(name, inner);
      }
    }
  }
  if (wrong(buffer)) return refuse(buffer.failed_at(), "an offset of the module leads out of it");
  // Functions name their operators as texts anywhere in the buffer.
  constexpr std::uint64_t k_step = std::uint64_t{1} << 20;
  for (std::uint64_t at = 0; at < size_; at += k_step - 256) {
    const Bytes bytes = source_.view(at, k_step);
    const std::string copy(as_text(bytes));
    pytorch::judge_operators(session_, copy, "bytecode", at);
    if (bytes.size() < k_step) break;
    if (!session_.budget().time_left()) {
      session_.gap(Reason::budget, Reach::load, at, "out of time");
      break;
    }
  }
  return Reading::valid;
}

Reading scan(Source& source, Session& session) {
  return Scan(source, session).run();
}

} // namespace

extern const Format format_executorch;
const Format format_executorch{
    .name = "executorch", .family = "executorch", .probe = probe, .scan = scan, .rules = k_rules};

} // namespace hubgate
