// Matching, in a worker. What libyara asks for is memory, reads of the source and the clock, which
// is what the sandbox leaves; its signal handlers are left off.
#include "scanner/core/evidence.hpp"
#include "scanner/yara/facts.hpp"

#include <algorithm>
#include <cstring>
#include <ctime>
#include <optional>

namespace hubgate::yara {
namespace {

constexpr std::size_t k_piece = std::size_t{1} << 20;
constexpr std::uint32_t k_bytes_shown = 48;
constexpr int k_strings_shown = 3;
constexpr int k_seconds_a_block = 60; // of the wall's clock, which is libyara's

double cpu_now() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

std::size_t take(void* into, std::size_t size, std::size_t count, void* from) {
  Bytes& rest = *static_cast<Bytes*>(from);
  if (size == 0 || rest.size() / size < count) return 0;
  std::memcpy(into, rest.data(), size * count);
  rest = rest.subspan(size * count);
  return count;
}

} // namespace

struct Rules::State {
  Library library;
  Blocks blocks;
  double seconds = 0;
  YR_RULES* rules = nullptr;
  YR_SCANNER* scanner = nullptr;
  double spent = 0;        ///< CPU seconds of this object
  std::uint64_t bytes = 0; ///< read for this object

  double allowed() const {
    return std::min(seconds + static_cast<double>(bytes) / k_bytes_a_second, k_seconds_max);
  }
};

namespace {

// The blocks of one stream. Only the data of the block that was asked for last is kept, and that of
// the first, which conditions on a head ask for again and again.
class Stream {
public:
  Stream(Source& source, Session& session, const Blocks& blocks, YR_SCANNER* scanner)
      : source_(source), session_(session), blocks_(blocks), scanner_(scanner) {
    iterator_.context = this;
    iterator_.first = [](YR_MEMORY_BLOCK_ITERATOR* self) { return of(self).first_block(); };
    iterator_.next = [](YR_MEMORY_BLOCK_ITERATOR* self) { return of(self).next_block(); };
    iterator_.file_size = [](YR_MEMORY_BLOCK_ITERATOR* self) { return of(self).size(); };
    iterator_.last_error = ERROR_SUCCESS;
  }

  YR_MEMORY_BLOCK_ITERATOR* iterator() { return &iterator_; }
  Session& session() { return session_; }

  /// CPU time after which no further block is given out; moves with what was read.
  double deadline = 0;
  std::uint64_t bytes_read = 0;
  bool late = false;       ///< the deadline has passed
  bool short_read = false; ///< bytes that were there could not be read again

private:
  static Stream& of(YR_MEMORY_BLOCK_ITERATOR* self) { return *static_cast<Stream*>(self->context); }

  std::uint64_t size() { return source_.wait_end(); }

  YR_MEMORY_BLOCK* first_block() {
    block_.base = 0;
    return load();
  }

  YR_MEMORY_BLOCK* next_block() {
    if (end_ && block_.base + block_.size >= *end_) return nullptr;
    // Parts of a string that wait for their other parts are listed by their place in the block: in
    // the next one they would fit together with what is not behind them, or hide what is. Matches
    // that reach over the border lie in the overlap, so the parts are found again there.
    if (!end_)
      std::memset(scanner_->unconfirmed_matches, 0,
                  sizeof(YR_MATCHES) * scanner_->rules->num_strings);
    block_.base += blocks_.size;
    return load();
  }

  // Until the end was seen, blocks are read as they are given out; afterwards, when conditions look
  // for a place, only those that are wanted.
  YR_MEMORY_BLOCK* load() {
    const std::uint64_t want = blocks_.size + blocks_.overlap;
    block_.context = this;
    block_.fetch_data = [](YR_MEMORY_BLOCK* self) {
      return static_cast<Stream*>(self->context)->data();
    };
    if (!end_) {
      block_.size = want;
      const std::vector<std::uint8_t>& bytes = read();
      if (late) {
        iterator_.last_error = ERROR_SCAN_TIMEOUT;
        return nullptr;
      }
      if (bytes.size() < want) end_ = block_.base + bytes.size();
    }
    if (end_) block_.size = std::min(want, *end_ - std::min(*end_, block_.base));
    return block_.size == 0 ? nullptr : &block_;
  }

  const std::uint8_t* data() {
    const std::vector<std::uint8_t>& bytes = read();
    if (bytes.size() >= block_.size) return bytes.data();
    short_read = true;
    return nullptr;
  }

  // The bytes of the current block, as many as there are.
  const std::vector<std::uint8_t>& read() {
    std::vector<std::uint8_t>& bytes = block_.base == 0 ? first_ : other_;
    std::uint64_t& base = block_.base == 0 ? first_base_ : other_base_;
    if (base == block_.base) return bytes;
    base = k_none;
    bytes.clear();
    if (late || cpu_now() > deadline + static_cast<double>(bytes_read) / k_bytes_a_second) {
      late = true;
      return bytes;
    }
    while (bytes.size() < block_.size) {
      const Bytes piece =
          source_.view(block_.base + bytes.size(), std::min(k_piece, block_.size - bytes.size()));
      if (piece.empty()) break;
      bytes.insert(bytes.end(), piece.begin(), piece.end());
    }
    if (!end_) bytes_read += bytes.size(); // what is read once more gives no more time
    base = block_.base;
    // Waiting for bytes that arrive is not libyara's time.
    clock_gettime(CLOCK_MONOTONIC, &scanner_->stopwatch.ts_start);
    return bytes;
  }

  static constexpr std::uint64_t k_none = ~std::uint64_t{0};

  Source& source_;
  Session& session_;
  const Blocks& blocks_;
  YR_SCANNER* scanner_;
  YR_MEMORY_BLOCK_ITERATOR iterator_{};
  YR_MEMORY_BLOCK block_{};
  std::vector<std::uint8_t> first_;
  std::vector<std::uint8_t> other_;
  std::uint64_t first_base_ = k_none;
  std::uint64_t other_base_ = k_none;
  std::optional<std::uint64_t> end_;
};

struct Seen {
  std::string text; ///< "$a at 16: bytes; $b at 99: bytes"
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
};

// The first match of a string that may be shown. libyara lays matches behind the bytes that they
// carry, where nothing is aligned: they are copied before they are looked at.
std::optional<YR_MATCH> first_match(YR_SCAN_CONTEXT* context, const YR_STRING* string) {
  const void* at = context->matches[string->idx].head;
  while (at != nullptr) {
    YR_MATCH match;
    std::memcpy(&match, at, sizeof match);
    if (!match.is_private) return match;
    at = match.next;
  }
  return std::nullopt;
}

Seen strings_of(YR_SCAN_CONTEXT* context, YR_RULE* rule) {
  Seen out;
  int shown = 0;
  bool any = false;
  YR_STRING* string = nullptr;
  yr_rule_strings_foreach(rule, string) {
    const auto match = first_match(context, string); // one of each string
    if (!match) continue;
    const auto at = static_cast<std::uint64_t>(match->base + match->offset);
    if (!any || at < out.offset) {
      out.offset = at;
      out.length = static_cast<std::uint64_t>(match->match_length);
    }
    any = true;
    if (STRING_IS_PRIVATE(string) || shown == k_strings_shown) continue;
    ++shown;
    const auto n =
        std::min<std::size_t>(static_cast<std::size_t>(match->data_length), k_bytes_shown);
    out.text += (out.text.empty() ? "" : "; ") + std::string(string->identifier) + " at " +
                std::to_string(at) + ": ";
    if (n != 0) out.text.append(reinterpret_cast<const char*>(match->data), n);
  }
  return out;
}

void report(YR_SCAN_CONTEXT* context, YR_RULE* matched, Session& session) {
  const RuleFacts facts = facts_of(matched, nullptr);
  const Rule rule{facts.id,
                  facts.klass,
                  facts.severity,
                  Reach::load,
                  facts.cwe,
                  facts.atlas,
                  "",
                  "a rule of the organisation"};
  const Seen seen = strings_of(context, matched);
  std::string evidence = facts.description;
  if (!seen.text.empty()) evidence += (evidence.empty() ? "" : ": ") + seen.text;
  session.find(rule, seen.offset, seen.length, evidence);
}

int on_message(YR_SCAN_CONTEXT* context, int message, void* data, void* into) {
  Session& session = static_cast<Stream*>(into)->session();
  if (message == CALLBACK_MSG_RULE_MATCHING) {
    report(context, static_cast<YR_RULE*>(data), session);
  } else if (message == CALLBACK_MSG_TOO_MANY_MATCHES) {
    // libyara looks for this string no more.
    session.gap(Reason::budget, Reach::load, 0,
                "a string of the YARA rules is there too often: " +
                    std::string(static_cast<YR_STRING*>(data)->identifier));
  } else if (message == CALLBACK_MSG_IMPORT_MODULE) {
    if (!allowed_module(static_cast<YR_MODULE_IMPORT*>(data)->module_name)) return CALLBACK_ERROR;
  }
  return CALLBACK_CONTINUE;
}

} // namespace

Rules::Rules() : state_(std::make_unique<State>()) {}

Rules::~Rules() {
  if (state_->scanner != nullptr) yr_scanner_destroy(state_->scanner);
  if (state_->rules != nullptr) yr_rules_destroy(state_->rules);
}

std::unique_ptr<Rules> Rules::load(Bytes compiled, Blocks blocks, double seconds) {
  std::unique_ptr<Rules> out(new Rules());
  State& state = *out->state_;
  state.blocks = blocks;
  state.seconds = seconds;
  std::uint32_t shown = k_bytes_shown;
  if (!state.library.ready ||
      yr_set_configuration(YR_CONFIG_MAX_MATCH_DATA, &shown) != ERROR_SUCCESS)
    return nullptr;
  YR_STREAM stream{&compiled, take, nullptr};
  if (yr_rules_load_stream(&stream, &state.rules) != ERROR_SUCCESS) {
    state.rules = nullptr;
    return nullptr;
  }
  if (yr_scanner_create(state.rules, &state.scanner) != ERROR_SUCCESS) {
    state.scanner = nullptr;
    return nullptr;
  }
  yr_scanner_set_flags(state.scanner, SCAN_FLAGS_NO_TRYCATCH | SCAN_FLAGS_FAST_MODE |
                                          SCAN_FLAGS_REPORT_RULES_MATCHING);
  yr_scanner_set_timeout(state.scanner, k_seconds_a_block);
  return out;
}

void Rules::begin() {
  state_->spent = 0;
  state_->bytes = 0;
}

void Rules::inspect(Source& source, Session& session) {
  State& state = *state_;
  const double began = cpu_now();
  Stream stream(source, session, state.blocks, state.scanner);
  stream.deadline = began + state.allowed() - state.spent;
  state.scanner->entry_point = YR_UNDEFINED; // of the stream before
  yr_scanner_set_callback(state.scanner, on_message, &stream);
  const int result = yr_scanner_scan_mem_blocks(state.scanner, stream.iterator());
  state.spent += cpu_now() - began;
  state.bytes += stream.bytes_read;
  // Conditions go on without what could not be read for them.
  if (stream.short_read && !stream.late)
    session.gap(Reason::unreadable, Reach::load, 0,
                "the YARA rules could not read again what they had seen");
  if (result == ERROR_SCAN_TIMEOUT || stream.late)
    session.gap(Reason::budget, Reach::load, 0, "the YARA rules took too long");
  else if (result == ERROR_INSUFFICIENT_MEMORY)
    session.gap(Reason::out_of_memory, Reach::load, 0, "the YARA rules ran out of memory");
  else if (result != ERROR_SUCCESS)
    session.gap(Reason::budget, Reach::load, 0,
                "the YARA rules could not be matched: error " + std::to_string(result));
}

void NoRules::inspect(Source&, Session& session) {
  if (session.is_object())
    session.gap(Reason::crash, Reach::load, 0, // which is never kept as a record
                "the organisation's YARA rules could not be loaded");
}

} // namespace hubgate::yara
