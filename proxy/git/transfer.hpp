#pragma once
// What pulls and pushes over Git share: the folder where a pack lies while it is judged, the thread
// that judges it beside the loop, and the side-band in which the client hears of it meanwhile.
#include "proxy/git/pack_check.hpp"
#include "proxy/git/protocol.hpp"
#include "proxy/relay/reply.hpp"

#include <memory>

namespace hubgate::proxy {

/// Most bytes of a list of refs.
inline constexpr std::uint64_t k_refs_max = std::uint64_t{32} << 20;

/// A folder of its own with the pack, gone with its owner. Counts against the person's spool.
class PackSpool {
public:
  static Result<std::shared_ptr<PackSpool>> create(Visit& visit);
  ~PackSpool();
  PackSpool(const PackSpool&) = delete;
  PackSpool& operator=(const PackSpool&) = delete;

  /// An error: the disk is full, or the quota.
  Result<void> append(Bytes bytes);
  /// Fills `out` from `offset` on; the bytes were appended.
  Result<void> read(std::uint64_t offset, std::span<std::uint8_t> out) const;
  std::uint64_t size() const { return size_; }
  const std::filesystem::path& folder() const { return folder_; }

private:
  PackSpool(Gate& gate, std::string user) : gate_(gate), user_(std::move(user)) {}
  Gate& gate_;
  std::string user_;
  std::filesystem::path folder_;
  Fd file_;
  std::uint64_t size_ = 0;
};

/// What is left of packs when a gate was killed: removed when it starts.
void remove_old_packs(const std::filesystem::path& spool_directory);

/// One scan of the person's share.
class GitSeat {
public:
  explicit GitSeat(Visit& visit);
  ~GitSeat();
  GitSeat(const GitSeat&) = delete;
  GitSeat& operator=(const GitSeat&) = delete;

private:
  Quota& quota_;
  std::string user_;
};

/// Speaks to the client in the side-band of an answer that has begun, or is about to.
class SideBand {
public:
  /// `most`: bytes of a packet; 0: there is no side-band, and nothing is said. `quiet`: the client
  /// wants no progress.
  SideBand(Visit& visit, BodyWriter& writer, std::size_t most, bool quiet)
      : visit_(visit), writer_(writer), most_(most), quiet_(quiet) {}

  /// Packets as they are. False, as for all of these: the client is gone.
  Task<bool> packets(std::string raw);
  /// Text for a person; `bytes` come from elsewhere: what moves cursors is taken out.
  Task<bool> text(std::string_view bytes);
  Task<bool> data(Bytes bytes);
  /// The end of a transfer that fails, as Git shows it.
  Task<bool> error(std::string_view line);
  /// A line about the work, now and then; otherwise a packet without content, so that nobody's
  /// patience ends.
  Task<bool> progress(const PackCheck::Progress& progress, std::string_view waiting);
  bool alive() const { return alive_; }

private:
  Visit& visit_;
  BodyWriter& writer_;
  std::size_t most_;
  bool quiet_;
  bool alive_ = true;
  std::size_t told_ = 0;
  TimePoint last_ = Clock::now();
};

PackCheck::World world_of(Visit& visit);

/// Runs something that takes long in a thread of its own; the client hears of `check` meanwhile,
/// and the work is given up when the client goes.
Task<Result<void>> run_apart(Visit& visit, std::shared_ptr<PackCheck> check, SideBand& band,
                             std::function<Result<void>()> work);

/// The request to the hub that the client's one becomes, without its body.
Fetch git_fetch(const Visit& visit, std::string method, std::string target);

/// A line in the audit log.
Task<void> log_git(Visit& visit, std::string what, boost::json::object fields);

Task<void> serve_git_pull(Visit& visit);
Task<void> serve_git_push(Visit& visit);

} // namespace hubgate::proxy
