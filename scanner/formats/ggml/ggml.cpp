// What ggml wrote before GGUF: "ggml" (unversioned), "ggmf", "ggjt" models, "ggla" adapters, and
// llama.cpp session files "ggsn" (llama.h up to 2023; whisper.cpp still writes "ggml"). See
// README.md.
#include "scanner/core/cursor.hpp"
#include "scanner/core/format.hpp"
#include "scanner/core/release.hpp"
#include "scanner/core/session.hpp"

#include <array>
#include <string>

namespace hubgate {
namespace {

constexpr std::array<Rule, 2> k_rules{{
    {"ggml-legacy", "structure", Severity::informational, Reach::load, "CWE-1104", "AML.T0029",
     "GGF-011", "a model in a format that ggml left behind; its readers check little"},
    {"ggml-structure", "structure", Severity::suspicious, Reach::load, "CWE-125", "AML.T0029",
     "GGF-011", "a count, length or tensor of the old format leads out of the file"},
}};

const Rule& k_legacy = k_rules[0];
const Rule& k_structure = k_rules[1];

constexpr std::uint32_t k_ggml = 0x67676d6c;
constexpr std::uint32_t k_ggmf = 0x67676d66;
constexpr std::uint32_t k_ggjt = 0x67676a74;
constexpr std::uint32_t k_ggla = 0x67676c61;
constexpr std::uint32_t k_ggsn = 0x6767736e;

constexpr std::uint32_t k_max_vocab = 4'000'000;
constexpr std::uint32_t k_max_token = 65'536;
constexpr std::uint64_t k_max_tensors = 100'000;

// Elements of a block and its bytes, by ggml_type of that time (the quantised ones changed their
// size in between; then no tensor table fits and the file is only told to be old).
struct Block {
  std::uint32_t elements;
  std::uint32_t bytes;
};
std::optional<Block> block_of(std::uint32_t type, bool second) {
  constexpr std::array<Block, 15> k_new{{{1, 4},
                                         {1, 2},
                                         {32, 18},
                                         {32, 20},
                                         {0, 0},
                                         {0, 0},
                                         {32, 22},
                                         {32, 24},
                                         {32, 34},
                                         {32, 40},
                                         {256, 84},
                                         {256, 110},
                                         {256, 144},
                                         {256, 176},
                                         {256, 210}}};
  constexpr std::array<Block, 10> k_old{{{1, 4},
                                         {1, 2},
                                         {32, 20},
                                         {32, 24},
                                         {32, 20},
                                         {32, 24},
                                         {32, 22},
                                         {32, 24},
                                         {32, 36},
                                         {32, 40}}};
  if (second ? type >= k_old.size() : type >= k_new.size()) return std::nullopt;
  const Block block = second ? k_old[type] : k_new[type];
  if (block.elements == 0) return std::nullopt;
  return block;
}

std::string name_of(std::uint32_t magic) {
  std::string out;
  for (int shift = 24; shift >= 0; shift -= 8)
    out += static_cast<char>(magic >> shift);
  return out;
}

class Scan {
public:
  Scan(Source& source, Session& session)
      : session_(session), size_(source.wait_end()), in_(source, 0, size_) {}
  Reading run();

private:
  bool vocabulary(std::uint32_t count, bool scores);
  bool tensors(bool aligned, bool second);

  Session& session_;
  std::uint64_t size_;
  Cursor in_;
};

bool Scan::vocabulary(std::uint32_t count, bool scores) {
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto length = in_.le<std::uint32_t>();
    if (!length || *length > k_max_token || !in_.skip(*length + (scores ? 4U : 0U))) return false;
  }
  return true;
}

// Dimensions, length of the name, type, sizes, name, (padding), data: to the end of the file
// exactly.
bool Scan::tensors(bool aligned, bool second) {
  std::uint64_t count = 0;
  while (in_.position() < size_) {
    const auto dims = in_.le<std::uint32_t>();
    const auto length = in_.le<std::uint32_t>();
    const auto type = in_.le<std::uint32_t>();
    if (!dims || !length || !type || *dims > 4 || *length > 256 || ++count > k_max_tensors)
      return false;
    std::uint64_t elements = 1;
    for (std::uint32_t i = 0; i < *dims; ++i) {
      const auto size = in_.le<std::uint32_t>();
      if (!size || __builtin_mul_overflow(elements, std::uint64_t{*size}, &elements)) return false;
    }
    const auto block = block_of(*type, second);
    if (!block || !in_.skip(*length)) return false;
    if (aligned) in_.seek((in_.position() + 31) & ~std::uint64_t{31});
    std::uint64_t bytes = 0;
    if (elements % block->elements != 0 ||
        __builtin_mul_overflow(elements / block->elements, std::uint64_t{block->bytes}, &bytes) ||
        !in_.skip(bytes))
      return false;
  }
  return count > 0;
}

Reading Scan::run() {
  const auto magic = in_.le<std::uint32_t>();
  if (!magic || size_ < 32) return Reading::none;
  const bool versioned = *magic != k_ggml;
  const std::uint32_t version = versioned ? in_.le<std::uint32_t>().value_or(0) : 0;
  if (versioned && (version == 0 || version > 9)) return Reading::none;
  // Seven hyper-parameters: n_vocab, n_embd, n_mult, n_head, n_layer, n_rot, ftype.
  const std::uint64_t header = in_.position();
  const bool model = *magic != k_ggla && *magic != k_ggsn;
  const auto vocab = in_.le<std::uint32_t>();
  if (!vocab || (model && (*vocab == 0 || *vocab > k_max_vocab))) {
    if (!versioned) return Reading::none;
    session_.find(k_structure, header, 4,
                  "a vocabulary of " + std::to_string(vocab.value_or(0)) + " tokens");
    session_.gap(Reason::malformed, Reach::load, header,
                 "the header of the old format can't be trusted");
    return Reading::broken;
  }
  session_.find(k_legacy, 0, header,
                name_of(*magic) + (versioned ? " version " + std::to_string(version) : ""));
  bool whole = false;
  if (model) {
    // LLaMA's layout; the other models of ggml's examples have theirs, which no field tells.
    for (const bool second: {true, false}) {
      in_.seek(header + 28);
      whole = whole || (vocabulary(*vocab, versioned) && tensors(*magic == k_ggjt, second));
    }
  } else if (*magic == k_ggla) {
    in_.seek(header + 8);
    whole = tensors(true, false);
  }
  if (whole) {
    session_.release(size_ - std::min(size_, k_held_tail));
    return Reading::valid;
  }
  if (*magic == k_ggjt || *magic == k_ggmf) {
    session_.find(k_structure, in_.position(), 0, "the tables do not fit the file");
    session_.gap(Reason::malformed, Reach::load, in_.position(),
                 "the tables of the old format do not fit the file");
    return Reading::broken;
  }
  session_.gap(Reason::unsupported, Reach::load, in_.position(),
               "a layout that only its own program knows");
  return Reading::broken;
}

Claim probe(const Probe& probe) {
  if (probe.head.size() < 32) return Claim::no;
  Reader in(probe.head);
  switch (in.le<std::uint32_t>().value_or(0)) {
  case k_ggml:
  case k_ggmf:
  case k_ggjt:
  case k_ggla:
  case k_ggsn:
    return Claim::maybe;
  default:
    return Claim::no;
  }
}

Reading scan(Source& source, Session& session) {
  return Scan(source, session).run();
}

} // namespace

extern const Format format_ggml;
const Format format_ggml{
    .name = "ggml", .family = "ggml", .probe = probe, .scan = scan, .rules = k_rules};

} // namespace hubgate
