#pragma once
// HubGit: what the gate itself asks of the hub's Git while a push waits, with the credentials of
// the person who pushes: which commit a ref names, and objects by their ids.
#include "proxy/git/transfer.hpp"

namespace hubgate::proxy {

class HubGit {
public:
  /// `band`: the client that waits hears that it goes on.
  HubGit(Visit& visit, SideBand& band);

  /// Asks what the hub can do; once. False, with a line in `error`: it can't be asked.
  Task<bool> open(std::string& error);
  /// What the ref names now; nothing when there is none, or with a line in `error`.
  Task<std::optional<git::Oid>> ref(std::string name, std::string& error);
  /// A pack. Null, with a line in `error`: the hub does not give it.
  Task<std::shared_ptr<PackSpool>> fetch(FetchWish wish, std::string& error);

private:
  Task<std::unique_ptr<Exchange>> ask(Fetch fetch, std::string& error);
  Task<bool> take(std::shared_ptr<PackSpool>& spool, PullAnswer& answer, std::string& error);

  Visit& visit_;
  SideBand& band_;
  std::string base_; ///< target of the repository
  std::optional<FetchFeatures> features_;
};

/// Opens a pack of commits and trees. Null, with a line in `error`.
Task<std::shared_ptr<PackedTrees>> open_trees(Visit& visit, SideBand& band,
                                              std::shared_ptr<PackCheck> check,
                                              std::shared_ptr<PackSpool> spool, std::string& error);

} // namespace hubgate::proxy
