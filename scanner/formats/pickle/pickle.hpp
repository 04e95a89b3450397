#pragma once
// Pickle: what other formats use of it. scan_pickle() runs a bounded symbolic machine over a pickle
// stream (protocols 0 to 5, byte-exact to CPython's C unpickler) and reports every call that a
// loader would make. A container that knows more than the stream shows (which storages exist, raw
// array bytes between opcodes) watches through an Observer. Nothing is ever loaded or imported.
#include "scanner/core/session.hpp"

#include <optional>
#include <string>

namespace hubgate::pickle {

class Machine;

enum class Kind : std::uint8_t {
  unknown, ///< not tracked: aged out, read from an unset memo slot, popped from a broken stack
  none,
  boolean,
  integer,
  floating,
  text,
  bytes,
  tuple,
  list,
  dict,
  set,
  global,     ///< an imported name: class or function
  object,     ///< what a call returned, with the state that BUILD gave it
  persistent, ///< what persistent_load() would return
  buffer,     ///< out-of-band data (protocol 5)
};

/// A look at a symbolic value. Valid until the callback that received it returns. Containers keep
/// their first elements only (64, dicts 32 pairs); size() still counts all.
class View {
public:
  View() = default;
  View(const Machine& machine, std::uint64_t word) : machine_(&machine), word_(word) {}

  Kind kind() const;
  /// Of an integer or boolean that fits into 64 bits.
  std::optional<std::int64_t> integer() const;
  /// The content of a text or bytes value of at most `max` bytes (UTF-8 or raw).
  std::optional<std::string> text(std::size_t max = 4096) const;
  /// Bytes of a text or bytes value; elements of a container (pairs of a dict); else 0.
  std::uint64_t size() const;
  /// How many elements item() can show; a dict shows key, value, key, value, …
  std::size_t kept() const;
  View item(std::size_t i) const;
  /// Of a global, or of the callee of an object: "module.name" after Python 2's names were mapped
  /// to Python 3's; "" where it was computed.
  std::string name() const;
  /// Of an object: the tuple of arguments, the state given by BUILD. Of a persistent value: its id.
  View args() const;
  View state() const;
  View id() const;
  /// The value for `key` among the kept pairs of a dict (of an object: of its state).
  View get(std::string_view key) const;
  /// Python-like text, bounded to `max` characters.
  std::string render(std::size_t max = 300) const;

private:
  const Machine* machine_ = nullptr;
  std::uint64_t word_ = 0;
};

/// What lies between the opcodes behind a BUILD.
struct Inline {
  enum class What {
    opcodes, ///< nothing: the next opcode follows
    raw,     ///< `bytes` of raw data
    pickle,  ///< a whole pickle, which the loader reads with a new unpickler
  };
  What what = What::opcodes;
  std::uint64_t bytes = 0;
};

/// Hears what the machine does, in order. Offsets are those of the source.
class Observer {
public:
  virtual ~Observer() = default;
  /// PERSID or BINPERSID. True: the id is accounted for. False: the machine judges it itself,
  /// which is quiet for torch's ("storage", type, key, device, numel) and a finding otherwise.
  virtual bool on_persistent_id(const View& /*id*/, std::uint64_t /*offset*/) { return false; }
  /// A call was made: object.name(), .args(). `offset` is that of the call's opcode.
  virtual void on_call(const View& /*object*/, std::uint64_t /*offset*/) {}
  /// BUILD gave `object` its state; `next` is the offset behind it. Nothing: the machine decides
  /// itself, which skips the arrays that joblib.numpy_pickle.NumpyArrayWrapper announces.
  virtual std::optional<Inline> on_build(const View& /*object*/, std::uint64_t /*next*/) {
    return std::nullopt;
  }
  /// STOP: the value that load() would return, and the offset behind the STOP.
  virtual void on_stop(const View& /*value*/, std::uint64_t /*end*/) {}
};

struct Options {
  enum class Streams {
    one, ///< stop behind the first STOP
    all, ///< go on as long as another pickle follows directly
  };
  enum class Reports {
    all,  ///< findings, gaps and the release offset go to the session
    none, ///< only the observer hears: for a second look at what another scan reports
  };
  Streams streams = Streams::all;
  Reports reports = Reports::all;
  /// A loader of this container supplies protocol 5's out-of-band buffers.
  bool buffers_supplied = false;
};

struct Result {
  enum class State {
    none,     ///< no pickle begins there; nothing was reported
    complete, ///< every stream ended with its STOP
    broken,   ///< ended without STOP or not understood; gaps were reported
  };
  State state = State::none;
  std::uint64_t end = 0;     ///< behind the last STOP, or where it broke
  std::uint64_t streams = 0; ///< pickles that were read, the broken one included
};

/// Scans the pickle that begins at `begin`. Where it breaks the caller decides what to do with the
/// rest (find_pickles()). `observer` may be null.
Result scan_pickle(Source& source, Session& session, std::uint64_t begin,
                   const Options& options = {}, Observer* observer = nullptr);

/// Looks for pickles at every offset of [begin, end) and scans those that would do something or
/// that are whole. For junk, broken streams and bytes that no format claims. Linear but for a
/// budget, whose end is a gap. Returns how many it found.
std::uint64_t find_pickles(Source& source, Session& session, std::uint64_t begin,
                           std::uint64_t end);

/// Whether a pickle may begin with these bytes (the first k_head of it): lexing and stack effects
/// are tried, without state. `Claim::yes` for a protocol header with plausible opcodes behind it.
Claim looks_like_pickle(Bytes head);

} // namespace hubgate::pickle
