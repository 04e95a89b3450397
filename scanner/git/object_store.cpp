#include "scanner/git/object_store.hpp"

#include "scanner/core/evidence.hpp"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace hubgate {
namespace {

Error other_content(const git::Oid& oid) {
  return Error{"object " + oid.brief() + " has other content than its id says"};
}

Error unreadable(const git::Oid& oid, const Error& why) {
  return Error{"can't read object " + oid.brief() + ": " + why.message};
}

} // namespace

// Streams come from several threads: each has a process for as long as it takes.
class ObjectStore::Lease {
public:
  static Result<Lease> take(ObjectStore& store) {
    {
      const std::lock_guard lock(store.mutex_);
      if (!store.idle_.empty()) {
        auto channel = std::move(store.idle_.back());
        store.idle_.pop_back();
        return Lease(store, std::move(channel));
      }
    }
    auto channel = HUBGATE_TRY(store.start_channel());
    return Lease(store, std::move(channel));
  }
  Channel& operator*() const { return *channel_; }
  /// Gives it back; only one that has answered all that it was asked.
  void give_back() {
    const std::lock_guard lock(store_->mutex_);
    store_->idle_.push_back(std::move(channel_));
  }

private:
  Lease(ObjectStore& store, std::unique_ptr<Channel> channel)
      : store_(&store), channel_(std::move(channel)) {}
  ObjectStore* store_;
  std::unique_ptr<Channel> channel_;
};

Result<std::unique_ptr<ObjectStore>> ObjectStore::open(const World& world) {
  std::unique_ptr<ObjectStore> out(new ObjectStore(world));
  out->folders_ = HUBGATE_TRY(ObjectFolders::open(world.places, world.id_size));
  return out;
}

Result<std::unique_ptr<ObjectStore::Channel>> ObjectStore::start_channel() {
  auto out = std::make_unique<Channel>();
  out->reader = HUBGATE_TRY(ObjectReader::start(world_.pool, world_.id_size));
  return out;
}

Result<ObjectStore::Channel*> ObjectStore::main_channel() {
  if (channel_ == nullptr) channel_ = HUBGATE_TRY(start_channel());
  return channel_.get();
}

Result<ObjectReader::ObjectPlace>
ObjectStore::place(Channel& channel, const ObjectFolders::Pack& pack, std::uint64_t offset) {
  const auto known = channel.packs.find(&pack);
  if (known != channel.packs.end()) return ObjectReader::ObjectPlace{known->second, offset};
  auto index_path = pack.path;
  index_path.replace_extension(".idx");
  const Fd file(::open(pack.path.c_str(), O_RDONLY | O_CLOEXEC));
  const Fd index(::open(index_path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file || !index)
    return Error{"can't open " + printable(pack.path.string(), 300) + ": " + std::strerror(errno)};
  const std::uint32_t number = HUBGATE_TRY(channel.reader->add_pack(file.get(), index.get()));
  channel.packs.emplace(&pack, number);
  return ObjectReader::ObjectPlace{number, offset};
}

Result<ObjectFolders::Found> ObjectStore::found(const git::Oid& oid) {
  auto out = HUBGATE_TRY(folders_->find(oid));
  if (!out) return Error{"can't read object " + oid.brief() + ": it is not there"};
  return std::move(*out);
}

Result<void> ObjectStore::ask(Channel& channel, ObjectFolders::Found& found, std::uint64_t most) {
  if (found.pack == nullptr) return channel.reader->ask_loose(found.loose.get(), most);
  const auto at = HUBGATE_TRY(place(channel, *found.pack, found.offset));
  return channel.reader->ask({&at, 1}, most);
}

Result<std::uint64_t> ObjectStore::count_incoming() {
  incoming_loose_ = HUBGATE_TRY(folders_->incoming_loose());
  std::uint64_t out = incoming_loose_.size();
  for (const auto* pack: folders_->incoming_packs())
    out += pack->index.count();
  return out;
}

Result<void> ObjectStore::each_incoming(std::uint64_t most, const Take& take) {
  Channel& channel = *HUBGATE_TRY(main_channel());
  const auto answer = [&](const git::Oid& oid) -> Result<void> {
    const auto given = channel.reader->answer();
    if (!given) return unreadable(oid, given.error());
    if (given->left_out) return take(oid, given->header, nullptr);
    if (hasher_.of(given->header.kind, given->bytes) != oid) return other_content(oid);
    return take(oid, given->header, &given->bytes);
  };
  for (const auto* pack: folders_->incoming_packs()) {
    struct Row {
      std::uint64_t offset;
      std::uint32_t index;
    };
    std::vector<Row> rows;
    rows.reserve(pack->index.count());
    for (std::uint32_t i = 0; i < pack->index.count(); ++i) {
      const auto offset = pack->index.offset(i);
      if (!offset) return Error{"the index of a pack of this push contradicts itself"};
      rows.push_back({*offset, i});
    }
    // As they lie, bases come before what is made from them.
    std::sort(rows.begin(), rows.end(),
              [](const Row& a, const Row& b) { return a.offset < b.offset; });
    std::size_t asked = 0;
    for (std::size_t next = 0; next < rows.size(); ++next) {
      if (asked == next || channel.reader->unanswered() <= ObjectReader::k_ahead / 2) {
        std::vector<ObjectReader::ObjectPlace> places;
        while (asked < rows.size() &&
               channel.reader->unanswered() + places.size() < ObjectReader::k_ahead)
          places.push_back(HUBGATE_TRY(place(channel, *pack, rows[asked++].offset)));
        if (auto sent = channel.reader->ask(places, most); !sent) return sent;
      }
      if (auto taken = answer(pack->index.oid(rows[next].index)); !taken) return taken;
    }
  }
  for (const git::Oid& oid: incoming_loose_) {
    auto at = HUBGATE_TRY(found(oid));
    if (auto asked = ask(channel, at, most); !asked) return asked;
    if (auto taken = answer(oid); !taken) return taken;
  }
  return {};
}

Result<ObjectStore::Header> ObjectStore::header(const git::Oid& oid) {
  auto at = HUBGATE_TRY(found(oid));
  Channel& channel = *HUBGATE_TRY(main_channel());
  if (auto asked = ask(channel, at, 0); !asked) return asked.error();
  const auto given = channel.reader->answer();
  if (!given) return unreadable(oid, given.error());
  return given->header;
}

Result<std::vector<std::optional<ObjectStore::Header>>>
ObjectStore::headers(std::span<const git::Oid> oids) {
  std::vector<std::optional<Header>> out(oids.size());
  Channel& channel = *HUBGATE_TRY(main_channel());
  std::vector<std::size_t> asked;
  const auto collect = [&] {
    for (const std::size_t index: asked)
      if (const auto given = channel.reader->answer()) out[index] = given->header;
    asked.clear();
  };
  for (std::size_t i = 0; i < oids.size(); ++i) {
    auto at = HUBGATE_TRY(folders_->find(oids[i]));
    if (!at) continue;
    if (auto sent = ask(channel, *at, 0); !sent) return sent.error();
    asked.push_back(i);
    // Descriptors of loose objects wait in the socket: not too many.
    if (asked.size() == ObjectReader::k_ahead / 4) collect();
  }
  collect();
  return out;
}

Result<LoadedObject> ObjectStore::read(const git::Oid& oid) {
  auto at = HUBGATE_TRY(found(oid));
  Channel& channel = *HUBGATE_TRY(main_channel());
  if (auto asked = ask(channel, at, k_read_most); !asked) return asked.error();
  const auto given = channel.reader->answer();
  if (!given) return unreadable(oid, given.error());
  if (!given->left_out) {
    if (hasher_.of(given->header.kind, given->bytes) != oid) return other_content(oid);
    return LoadedObject(given->header.kind, {given->bytes.begin(), given->bytes.end()});
  }
  // Small itself, perhaps, but made from something that is large.
  Header header;
  std::vector<std::uint8_t> bytes;
  auto streamed = stream(oid, k_read_most, header, [&](Bytes piece) -> Result<void> {
    bytes.insert(bytes.end(), piece.begin(), piece.end());
    return {};
  });
  if (!streamed) return streamed.error();
  return LoadedObject(header.kind, std::move(bytes));
}

Result<void> ObjectStore::stream(const git::Oid& oid, std::uint64_t most, Header& header,
                                 const ObjectReader::Sink& take) {
  const auto at = HUBGATE_TRY(found(oid));
  Lease lease = HUBGATE_TRY(Lease::take(*this));
  Channel& channel = *lease;
  git::ObjectHasher hasher(world_.id_size);
  const auto begin = [&](const Header& begun) {
    header = begun;
    hasher.begin(begun.kind, begun.size);
  };
  const auto piece = [&](Bytes bytes) -> Result<void> {
    if (header.size > most) return Error{"it has more than " + std::to_string(most) + " bytes"};
    hasher.update(bytes);
    return take(bytes);
  };
  Result<void> done;
  if (at.pack == nullptr) {
    done = channel.reader->stream_loose(at.loose.get(), begin, piece);
  } else {
    if (!channel.has_scratch) {
      const char* folder = world_.scratch.c_str();
      const Fd one(::open(folder, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600));
      const Fd other(::open(folder, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600));
      if (!one || !other)
        return Error{"can't make a file in " + printable(world_.scratch.string(), 300) + ": " +
                     std::strerror(errno)};
      if (auto given = channel.reader->add_scratch(one.get(), other.get()); !given) return given;
      channel.has_scratch = true;
    }
    const auto where = HUBGATE_TRY(place(channel, *at.pack, at.offset));
    done = channel.reader->stream(where, begin, piece);
  }
  if (!done) return unreadable(oid, done.error());
  if (hasher.finish() != oid) return other_content(oid);
  lease.give_back();
  return {};
}

Result<void> ObjectStore::stream_blob(const git::Oid& oid, const ObjectReader::Sink& take) {
  Header header;
  auto streamed = stream(oid, ~std::uint64_t{0}, header, take);
  if (streamed && header.kind != git::Kind::blob)
    return Error{"object " + oid.brief() + " is no file"};
  return streamed;
}

} // namespace hubgate
