#include "hook/daemon/server.hpp"

#include "scanner/core/evidence.hpp"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <iostream>

namespace hubgate::daemon {
namespace {

Error failed(const std::filesystem::path& path, std::string_view what) {
  return Error{printable(path.string(), 300) + ": " + std::string(what) + ": " +
               std::strerror(errno)};
}

Analyst::Options analyst_options(const std::filesystem::path& scratch) {
  Analyst::Options out;
  out.jobs = std::max(1u, std::thread::hardware_concurrency());
  out.scratch = scratch.string();
  return out;
}

} // namespace

Server::Server(Gatekeeper& keeper, WorkerPool& pool, Options options)
    : options_(std::move(options)), keeper_(keeper),
      analyst_(keeper, pool, analyst_options(options_.scratch)) {}

Result<std::unique_ptr<Server>> Server::start(Gatekeeper& keeper, WorkerPool& pool,
                                              Options options) {
  auto out = std::unique_ptr<Server>(new Server(keeper, pool, std::move(options)));
  out->wake_ = Fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!out->wake_) return failed(out->options_.socket, "eventfd");
  out->policy_changed();
  if (auto bound = out->bind(); !bound) return bound.error();
  out->accepting_ = std::thread([server = out.get()] { server->accept(); });
  return out;
}

// A file that is being edited decides nothing before it was read: hooks get the text that counts.
Result<Welcome> Server::policy_in_force(const Policy& policy) {
  const std::lock_guard lock(policy_mutex_);
  if (policy_text_ && is_text_of(*policy_text_, policy)) return *policy_text_;
  auto text = options_.policy_text();
  if (!text || !is_text_of(*text, policy))
    return Error{"the gate's policy is being changed: push again when it has been read"};
  policy_text_ = std::move(*text);
  return *policy_text_;
}

Result<void> Server::bind() {
  const auto& path = options_.socket;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string text = path.string();
  if (!path.is_absolute() || text.size() >= sizeof address.sun_path)
    return Error{printable(text, 300) + ": a socket's path is absolute and at most " +
                 std::to_string(sizeof address.sun_path - 1) + " bytes long"};
  std::memcpy(address.sun_path, text.data(), text.size());

  // Of two daemons the second must not take the socket away from the first.
  lock_ = Fd(open((text + ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!lock_) return failed(text + ".lock", "can't be made");
  if (flock(lock_.get(), LOCK_EX | LOCK_NB) != 0)
    return Error{printable(text, 300) + ": another daemon listens there"};
  struct stat there{};
  if (lstat(text.c_str(), &there) == 0) {
    if (!S_ISSOCK(there.st_mode))
      return Error{printable(text, 300) + ": is there and is no socket"};
    if (unlink(text.c_str()) != 0) return failed(path, "can't be removed");
  }
  listener_ = Fd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!listener_) return failed(path, "socket");
  if (::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return failed(path, "can't be made");
  // Nobody can connect before listen().
  if (!options_.group.empty()) {
    const group* entry = getgrnam(options_.group.c_str());
    if (entry == nullptr)
      return Error{"socket_group: there is no group " + printable(options_.group, 100)};
    if (chown(text.c_str(), static_cast<uid_t>(-1), entry->gr_gid) != 0)
      return failed(path, "can't be given to the group " + printable(options_.group, 100));
  }
  if (chmod(text.c_str(), options_.mode) != 0) return failed(path, "chmod");
  if (listen(listener_.get(), 128) != 0) return failed(path, "can't listen");
  return {};
}

Server::~Server() {
  drain();
  {
    const std::lock_guard lock(mutex_);
    for (auto& guest: guests_)
      guest.session->stop();
  }
  for (auto& guest: guests_)
    guest.thread.join();
}

void Server::drain() {
  if (closing_.exchange(true)) return;
  const std::uint64_t one = 1;
  (void)!write(wake_.get(), &one, sizeof one);
  if (accepting_.joinable()) accepting_.join();
  if (listener_) unlink(options_.socket.c_str());
  listener_.reset();
}

std::size_t Server::guests() {
  sweep();
  const std::lock_guard lock(mutex_);
  return guests_.size();
}

// Takes away those that have gone.
void Server::sweep() {
  const std::lock_guard lock(mutex_);
  guests_.remove_if([](Guest& guest) {
    if (!guest.gone) return false;
    guest.thread.join();
    return true;
  });
}

void Server::accept() {
  while (!closing_) {
    std::array<pollfd, 2> ready{{{listener_.get(), POLLIN, 0}, {wake_.get(), POLLIN, 0}}};
    poll(ready.data(), ready.size(), 1000);
    sweep();
    if (closing_ || (ready[0].revents & POLLIN) == 0) continue;
    Fd socket(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!socket) {
      // Out of descriptors, perhaps: not for ever.
      if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) poll(&ready[1], 1, 100);
      continue;
    }
    try {
      let_in(std::move(socket));
    } catch (const std::exception& error) {
      std::cerr << "hubgate: a hook was not let in: " << error.what() << "\n";
    }
  }
}

Result<void> Server::admit(const Peer& peer) {
  const bool ours = peer.uid == geteuid() || peer.uid == 0;
  if (!ours && std::find(options_.trusted.begin(), options_.trusted.end(), peer.uid) ==
                   options_.trusted.end())
    return Error{"account " + std::to_string(peer.uid) +
                 " is not among hook.trusted_users of the daemon"};
  const std::lock_guard lock(mutex_);
  const auto same = std::count_if(guests_.begin(), guests_.end(),
                                  [&](const Guest& guest) { return guest.uid == peer.uid; });
  if (guests_.size() >= options_.connections ||
      (!ours && static_cast<std::size_t>(same) >= options_.per_account))
    return Error{"too many pushes at once (" + std::to_string(guests_.size()) +
                 "): push again in a moment"};
  return {};
}

void Server::let_in(Fd socket) {
  const auto peer = peer_of(socket.get());
  if (!peer) return;
  Channel channel(std::move(socket));
  if (const auto admitted = admit(*peer); !admitted) {
    Out why;
    why.text(admitted.error().message);
    if (const auto message = Sending::make(Type::failed, 0, why.bytes()))
      (void)channel.send(*message, Channel::Wait::no);
    return;
  }
  auto session = Session::create({keeper_, analyst_, load_, policy_}, std::move(channel), *peer);
  if (!session) return;
  const std::lock_guard lock(mutex_);
  Guest& guest = guests_.emplace_back();
  guest.session = *session;
  guest.uid = peer->uid;
  guest.thread = std::thread([&guest, session = *session] {
    Result<void> served;
    try {
      served = session->run();
    } catch (const std::exception& error) {
      served = Error{error.what()};
    }
    if (!served)
      std::cerr << "hubgate: the connection of a hook was ended: " +
                       printable(served.error().message, 300) + "\n";
    session->close(served);
    guest.gone = true;
  });
}

} // namespace hubgate::daemon
