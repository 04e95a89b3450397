#pragma once
// Machine: the symbolic pickle machine, one linear pass with bounded memory. It does what CPython's
// C unpickler does, opcode by opcode, with symbols in place of objects: a call is judged and
// recorded when it happens, whatever becomes of its result. Internal to the pickle folder.
#include "scanner/formats/pickle/listing.hpp"
#include "scanner/formats/pickle/names.hpp"
#include "scanner/formats/pickle/pickle.hpp"
#include "scanner/formats/pickle/rules.hpp"
#include "scanner/formats/pickle/value.hpp"

#include <array>
#include <map>
#include <vector>

namespace hubgate::pickle {

/// Sees every opcode that the machine executes; for the differential test.
class Tracer {
public:
  virtual ~Tracer() = default;
  virtual void on_opcode(std::uint8_t code, std::uint64_t offset) = 0;
};

class Machine {
public:
  /// How frames bound reads. CPython before 3.13.15 and 3.14.7 reads an argument that crosses the
  /// end of a frame from behind the frame (cpython 154848) when it loads from a file.
  enum class Frames { linear, restart };

  Machine(Source& source, Session& session, const Options& options, Observer* observer,
          unsigned depth = 0);

  enum class End { stop, truncated, broken, budget };
  struct Outcome {
    End how = End::broken;
    std::uint64_t end = 0; ///< behind the STOP, or the opcode where it ended
    std::string_view why;  ///< of a broken one
  };
  /// Runs one pickle from `begin` to its STOP. Reports findings; gaps are the caller's.
  Outcome run(std::uint64_t begin);

  void set_tracer(Tracer* tracer) { tracer_ = tracer; }
  /// Whether the opcodes and the program are shown to who asks: those of a machine that reports
  /// are, unless it is told otherwise.
  void set_shown(bool shown) { shown_ = shown; }
  /// A call that is not allowed was made.
  bool did_harm() const { return did_harm_; }
  /// How many calls were made, allowed ones included.
  std::uint64_t calls() const { return calls_; }
  /// What the top of the stack was at STOP.
  Word result() const { return result_; }
  bool memo_was_lossy() const { return memo_.lossy(); }
  /// Reports imports that nothing called. Before anything behind them is released.
  void flush_imports();

  // For View and rendering; values outlive nothing but the machine.
  Kind kind_of(Word) const;
  std::optional<std::int64_t> integer_of(Word) const;
  /// Decoded content; nothing when it is no literal or longer than `max`.
  std::optional<std::string> text_of(Word, std::size_t max) const;
  std::uint64_t size_of(Word) const;
  std::size_t kept_of(Word) const;
  /// Of a container: what it holds is not known any more.
  bool aged(Word w) const { return !heap_.alive(payload_of(w)); }
  Word item_of(Word, std::size_t i) const;
  Word args_of(Word) const;
  Word state_of(Word) const;
  Word callee_of(Word) const;
  std::string name_of(Word) const;
  std::string render(Word, std::size_t max) const;
  std::optional<double> floating_of(Word) const;

private:
  enum class Step { more, need, stop, fail };
  enum class How : std::uint8_t { reduce, inst, obj, newobj, newobj_ex };

  struct Name {
    std::string module;
    std::string name;
    Verdict verdict;
    bool well_formed = true;
    bool imported = false;     ///< an import finding was made or is pending
    std::uint32_t reports = 0; ///< calls reported
  };
  /// The range of bytes that a finding points to.
  struct At {
    std::uint64_t offset = 0;
    std::uint64_t length = 1;
  };
  /// One opcode located in the source: [offset, next), its data at [data, data + length).
  struct Located {
    std::uint64_t next = 0;
    std::uint64_t data = 0;
    std::uint64_t length = 0;
    bool ok = false;
    bool truncated = false;
  };

  // machine.cpp: driving
  void start(std::uint64_t begin);
  Outcome finish(End how);
  Step run_long();
  Step run_restarted();
  void report_straddle(At at);
  Located locate(std::uint64_t at);
  bool wait_for(std::uint64_t from, std::uint64_t upto);
  std::uint64_t find_newline(std::uint64_t from);
  void check_end();
  void grow_stack(std::size_t room);
  void settle();
  Step fail(std::string_view why) {
    why_ = why;
    return Step::fail;
  }
  Step budget(std::string_view why) {
    over_budget_ = true;
    return fail(why);
  }

  // machine_run.cpp: the opcodes that lie whole in a window; machine_usual.cpp: the usual ones
  struct Place {
    const std::uint8_t* p;
    Word* sp;
    Word* fence;
  };
  Place run_usual(Place at, const std::uint8_t* end, std::uint64_t offset_of_null);
  Step run_some(Bytes window);
  template <bool k_trace> Step run_window(Bytes window);
  void trace() { tracer_->on_opcode(pending_code_, pending_trace_); }

  // machine_ops.cpp: the rest of the opcodes. `at` is the opcode's own range.
  [[gnu::always_inline]] Word make_tuple(const Word* items, std::size_t n) {
    Word all = 0;
    for (std::size_t i = 0; i < n; ++i)
      all |= items[i];
    const auto kept = static_cast<std::uint32_t>(std::min<std::size_t>(n, Heap::k_kept));
    const std::uint64_t position = heap_.allocate(1 + kept);
    Word* block = heap_.at(position);
    for (std::uint32_t i = 0; i < kept; ++i)
      block[1 + i] = items[i];
    if ((all & k_not_plain) == 0) {
      block[0] = Heap::header(0, n, static_cast<float>(n + 1));
    } else {
      float weight = static_cast<float>(n + 1);
      const Flags flags = sum(items, n, weight);
      heap_.at(position)[0] = Heap::header(flags, n, weight);
      if (flags != 0) heap_.taint(position, flags);
    }
    return make_word(Tag::tuple, position);
  }
  Word make_container(Tag tag) {
    const std::uint64_t position = heap_.allocate(2);
    heap_.at(position)[0] = Heap::header(0, 0, 1.0f);
    heap_.at(position)[1] = 0;
    return make_word(tag, position);
  }
  /// Adds items to a list, dict (pairs), set or object.
  [[gnu::always_inline]] void extend(Word target, const Word* items, std::size_t n,
                                     std::uint64_t count) {
    Word all = 0;
    for (std::size_t i = 0; i < n; ++i)
      all |= items[i];
    const std::uint64_t position = payload_of(target);
    float weight = static_cast<float>(n);
    Flags flags = 0;
    if ((all & k_not_plain) != 0) {
      flags = sum(items, n, weight);
      note_recursion(target, items, n);
    }
    if (heap_.alive(position)) {
      Word& header = *heap_.at(position);
      header = Heap::header(Heap::flags(header), Heap::count(header) + count,
                            Heap::weight(header) + weight);
      heap_.keep_items(position + 1, items, n);
    }
    heap_.taint(position, flags);
  }
  static constexpr std::size_t k_short_text = 64;
  static constexpr std::size_t k_max_texts = std::size_t{1} << 20;
  static constexpr std::string_view k_target = "_target_";
  static constexpr std::size_t k_max_stack = std::size_t{16} << 20;
  static constexpr std::uint64_t k_absurd_index = std::uint64_t{1} << 30;

  /// What lies in `items`; what they weigh is added to `weight`.
  Flags sum(const Word* items, std::size_t n, float& weight) const;
  /// The same of containers that are alive; false when there is anything else.
  static bool sum_alive(const Heap& heap, const Word* items, std::size_t n, Flags& flags,
                        float& weight);
  /// What GET of an empty memo slot gives, and the finding.
  Word unset_slot(std::uint64_t index, At at);
  Flags flags_of(Word) const;
  void note_recursion(Word target, const Word* items, std::size_t n);
  Word keep_text(const std::uint8_t* data, std::size_t n);
  static bool is_target(const std::uint8_t* data, std::size_t n) {
    return as_text({data, n}) == k_target;
  }
  /// What a loader of configurations would call, of the value that STOP returns.
  void judge_configuration();

  Word import(std::string_view module, std::string_view name, At at);
  Word stack_global(Word module, Word name, At at);
  Word extension(std::int64_t code, At at);
  Word persistent(Word id, At at);
  bool check_number(std::uint8_t code, std::string_view line, At at);
  void protocol_byte(std::uint8_t version, std::uint64_t offset);
  bool enter_frame(std::uint64_t length, At at);
  void check_item_target(Word target, At at, bool mapping);
  Step build(Word object, Word state, At at);
  Step after_build(Word object, std::uint64_t next);
  void check_long(std::uint8_t code, At at);
  static bool memo_line(std::string_view line, std::uint64_t& index);
  static bool is_quoted(std::string_view line);

  void show_items(Word target, const Word* items, std::size_t n, bool mapping);

  // judge.cpp
  Word call(Word callee, Word args, Word kwargs, How how, At at);
  void judge_call(Word callee, Word args, Word object, How how, At at);
  void check_shape(const Name& name, Word args, Word object, How how, At at);
  void check_tensor(Word args, Word object, At at);
  void check_hooks(Word hooks, std::string_view what, At at);
  void check_state(Word object, Word state, At at);
  void check_state_dict(Word object, Word dict, bool slots, At at);
  void check_formula(Word object, Word value, At at);
  void check_tree(Word object, Word state, At at); ///< tree_state.cpp
  bool is_torch_storage(Word id) const;

  // recover.cpp
  void source_of(std::string& out, Word w, unsigned depth) const;
  void recover_code(Word object, At at);

  bool is_allowed_class(Word) const;
  static bool is_partial(const Name& name);
  bool is_plain_function(Word w) const;
  void shape(Word object, At at, std::string_view why, Severity severity = Severity::suspicious);

  // nested.cpp
  /// Whether a text of k_short_text at most may be a pickle, as it is or encoded: its first bytes
  /// say so. The others are kept without another look.
  static bool may_hide(const std::uint8_t* data, std::size_t n) {
    return n >= k_shortest_hidden && may_begin_pickle(data, n);
  }
  static bool may_begin_pickle(const std::uint8_t* data, std::size_t n);
  static constexpr std::size_t k_shortest_hidden = 20;
  void scan_literal(std::uint64_t offset, std::uint64_t data, std::uint64_t length, bool text);
  void scan_nested_arguments(Word args);

  void find(R id, At at, std::string_view evidence, const FindOptions& options = {}) {
    if (quiet() || at.offset < report_from_) return;
    session_.find(rule(id), at.offset, at.length, evidence, options);
  }
  void gap(Reason reason, std::uint64_t offset, std::string_view detail) {
    if (!quiet()) session_.gap(reason, Reach::load, offset, detail);
  }
  bool quiet() const { return options_.reports == Options::Reports::none; }
  Bytes read(std::uint64_t offset, std::size_t n) const {
    touched_ = true;
    return source_.view(offset, n);
  }
  View view(Word w) const { return {*this, w}; }
  const Name& name_at(Word global) const { return names_[aux_of(global)]; }
  void render_into(std::string& out, Word w, std::size_t max, unsigned depth) const;

  Source& source_;
  Session& session_;
  Options options_;
  Observer* observer_;
  Tracer* tracer_ = nullptr;
  unsigned depth_;
  bool shown_;
  std::unique_ptr<Program> program_; ///< while somebody wants to see it

  std::uint64_t begin_ = 0;
  std::uint64_t position_ = 0;  ///< of the next opcode
  std::uint64_t frame_end_ = 0; ///< 0: in no frame
  Frames frames_ = Frames::linear;
  std::uint64_t report_from_ = 0;
  std::string_view why_;
  int protocol_ = 0;
  bool has_protocol_ = false;
  bool over_budget_ = false;
  bool broken_memo_ = false;
  std::uint32_t callable_states_ = 0;
  std::uint32_t recovered_ = 0; ///< calls whose code was read
  std::uint8_t pending_code_ = 0;
  std::uint64_t pending_trace_ = 0;
  bool straddled_ = false;
  std::uint64_t next_tick_ = 0;
  bool did_harm_ = false;
  bool names_target_ = false; ///< a text is "_target_"
  std::uint64_t calls_ = 0;
  bool recursive_ = false;
  mutable bool touched_ = false; ///< the source was read, so the window is stale
  Word result_ = 0;
  std::array<std::uint16_t, 256> seen_{};

  std::unique_ptr<Word[]> stack_;
  std::size_t stack_capacity_ = 0;
  std::size_t stack_size_ = 0;
  std::unique_ptr<std::uint64_t[]> marks_; ///< stack positions; room like the stack's
  std::size_t mark_capacity_ = 0;
  std::size_t mark_count_ = 0;
  Heap heap_;
  Memo memo_;
  std::vector<Name> names_;
  std::map<std::string, std::uint32_t, std::less<>> name_index_;
  std::vector<std::pair<std::uint32_t, std::uint64_t>> pending_imports_;
  std::string texts_; ///< kept texts: a length byte, then the bytes
};

/// How many raw bytes follow the BUILD of joblib's NumpyArrayWrapper (joblib/numpy_pickle.py,
/// read_array): the alignment's padding and the array, or a pickle for arrays of objects.
Inline joblib_array(const View& object, Source& source, std::uint64_t next);

} // namespace hubgate::pickle
