"""quicgen: QUIC Initials as a client protects them (RFC 9001 section 5, RFC 9369), with the AES of
FIPS 197 and the GCM of SP 800-38D, which Python's own library lacks. Slow, and only for captures."""
import hashlib
import hmac
import struct

V1, V2, DRAFT29 = 1, 0x6b3343cf, 0xff00001d
SALTS = {V1: "38762cf7f55934b34d179ae6a4c80cadccbb7f0a",
         V2: "0dede3def700a6db819381be6e269dcbf9bd2ed9",
         DRAFT29: "afbfec289993d24c9e9786f19c6111e04390a899"}


def _sbox():
    box, p, q = [0] * 256, 1, 1
    while True:
        p ^= (p << 1) ^ (0x11b if p & 0x80 else 0)
        p &= 0xff
        q ^= q << 1
        q ^= q << 2
        q ^= q << 4
        q &= 0xff
        if q & 0x80:
            q ^= 0x09
        box[p] = 0x63 ^ q ^ _rotate(q, 1) ^ _rotate(q, 2) ^ _rotate(q, 3) ^ _rotate(q, 4)
        if p == 1:
            box[0] = 0x63
            return box


def _rotate(x, n):
    return (x << n | x >> (8 - n)) & 0xff


SBOX = _sbox()
TWICE = [(x << 1) ^ (0x11b if x & 0x80 else 0) for x in range(256)]


def aes(key):
    """A function that encrypts one block with a key of 16 bytes."""
    words, rcon = [list(key[i:i + 4]) for i in range(0, 16, 4)], 1
    for i in range(4, 44):
        t = list(words[-1])
        if i % 4 == 0:
            t = [SBOX[b] for b in t[1:] + t[:1]]
            t[0] ^= rcon
            rcon = TWICE[rcon]
        words.append([a ^ b for a, b in zip(words[i - 4], t)])
    keys = [sum(words[i:i + 4], []) for i in range(0, 44, 4)]
    shift = [(i + 4 * (i % 4)) % 16 for i in range(16)]

    def encrypt(block):
        s = [a ^ b for a, b in zip(block, keys[0])]
        for n in range(1, 11):
            s = [SBOX[s[i]] for i in shift]
            if n < 10:
                out = []
                for i in range(0, 16, 4):
                    c = s[i:i + 4]
                    every = c[0] ^ c[1] ^ c[2] ^ c[3]
                    out += [c[j] ^ every ^ TWICE[c[j] ^ c[(j + 1) % 4]] for j in range(4)]
                s = out
            s = [a ^ b for a, b in zip(s, keys[n])]
        return bytes(s)
    return encrypt


def _multiply(x, y):
    z = 0
    for i in range(127, -1, -1):
        if x >> i & 1:
            z ^= y
        y = y >> 1 ^ (0xe1 << 120 if y & 1 else 0)
    return z


def gcm(key, iv, plain, aad):
    block = aes(key)
    out = b"".join(bytes(a ^ b for a, b in zip(plain[i:i + 16], block(iv + struct.pack("!I", 2 + i // 16))))
                   for i in range(0, len(plain), 16))
    return out + _tag(key, iv, out, aad).to_bytes(16, "big")


def _tag(key, iv, sealed, aad):
    block, y = aes(key), 0
    h = int.from_bytes(block(bytes(16)), "big")
    for part in (aad, sealed, struct.pack("!QQ", len(aad) * 8, len(sealed) * 8)):
        for i in range(0, len(part), 16):
            y = _multiply(y ^ int.from_bytes(part[i:i + 16].ljust(16, b"\0"), "big"), h)
    return y ^ int.from_bytes(block(iv + b"\0\0\0\1"), "big")


def _expand(secret, label, size):
    label = b"tls13 " + label.encode()
    info = struct.pack("!HB", size, len(label)) + label + b"\0\1"
    return hmac.digest(secret, info, hashlib.sha256)[:size]


def varint(n):
    return bytes([n]) if n < 64 else struct.pack("!H", 0x4000 | n) if n < 1 << 14 \
        else struct.pack("!I", 0x80000000 | n)


def crypto(data, at=0):
    return b"\6" + varint(at) + varint(len(data)) + data


def long_header(version, kind, dcid, scid=b""):
    if version == V2:
        kind = (kind + 1) % 4
    return bytes([0xc3 | kind << 4]) + struct.pack("!I", version) + bytes([len(dcid)]) + dcid \
        + bytes([len(scid)]) + scid


def _keys(key_id, version=V1):
    """Key, IV and header protection key of a client's Initials."""
    secret = hmac.digest(bytes.fromhex(SALTS.get(version, SALTS[V1])), key_id, hashlib.sha256)
    secret = _expand(secret, "client in", 32)
    prefix = "quicv2 " if version == V2 else "quic "
    return [_expand(secret, prefix + x, n) for x, n in (("key", 16), ("iv", 12), ("hp", 16))]


def initial(frames, dcid, version=V1, number=0, token=b"", key_id=None, size=0, flip=0):
    """One Initial packet, with PADDING up to `size`. key_id: the ID its keys come from, else dcid.
    flip: bits of the first byte that differ."""
    key, iv, protect = _keys(key_id or dcid, version)
    head = long_header(version, 0, dcid, b"\x5c\x1d") + varint(len(token)) + token
    frames = frames.ljust(max(size - len(head) - 22, 4), b"\0")
    head += struct.pack("!H", 0x4000 | (4 + len(frames) + 16)) + struct.pack("!I", number)
    head = bytes([head[0] ^ flip]) + head[1:]
    nonce = iv[:4] + bytes(a ^ b for a, b in zip(iv[4:], struct.pack("!Q", number)))
    sealed = gcm(key, nonce, frames, head)
    mask = aes(protect)(sealed[:16])
    return bytes([head[0] ^ mask[0] & 15]) + head[1:-4] \
        + bytes(a ^ b for a, b in zip(head[-4:], mask[1:])) + sealed


def other(kind, dcid, version=V1, size=80):
    """A packet whose keys nobody on the way has: 0-RTT (1), Handshake (2)."""
    return long_header(version, kind, dcid, b"\x5c\x1d") + struct.pack("!H", 0x4000 | size) + b"\x77" * size


def retry(scid, version=V1):
    """A server's: the client goes on to scid with the token "again"."""
    return long_header(version, 3, b"\x5c\x1d", scid) + b"again" + bytes(16)


def version_negotiation(versions, scid):
    return long_header(0, 0, b"\x5c\x1d", scid) + b"".join(struct.pack("!I", v) for v in versions)


def _hash_key(key):
    return int.from_bytes(aes(key)(bytes(16)), "big")


def _power(x, n):
    out = 1 << 127
    while n:
        if n & 1:
            out = _multiply(out, x)
        x, n = _multiply(x, x), n >> 1
    return out


def two_keys(frames, dcid, other, hole):
    """An Initial of `frames` that the keys of `other` open as well: AES-GCM binds no packet to its key.
    What they read in it is noise. 16 bytes of the frames, from `hole` on (a multiple of 16), are lost."""
    sides = [_keys(dcid), _keys(other)]
    start = long_header(V1, 0, dcid, b"\x5c\x1d") + b"\0" + struct.pack("!H", 0x4000 | (4 + len(frames) + 16))
    for number in range(1000):
        heads, tags, hashes = [], [], [_hash_key(key) for key, _, _ in sides]
        key, iv, protect = sides[0]
        nonce = iv[:4] + bytes(a ^ b for a, b in zip(iv[4:], struct.pack("!Q", number)))
        sealed = gcm(key, nonce, frames, b"")[:-16]
        sealed = sealed[:hole] + bytes(16) + sealed[hole + 16:]
        masks = [aes(p)(sealed[:16]) for _, _, p in sides]
        if (masks[0][0] ^ masks[1][0]) & 15:
            continue  # the other would read another length of the number
        wire = bytes([start[0] ^ masks[0][0] & 15]) + start[1:] \
            + bytes(a ^ b for a, b in zip(struct.pack("!I", number), masks[0][1:]))
        for (key, iv, _), mask in zip(sides, masks):
            pn = bytes(a ^ b for a, b in zip(wire[-4:], mask[1:]))
            heads.append(bytes([wire[0] ^ mask[0] & 15]) + wire[1:-4] + pn)
            nonce = iv[:8] + bytes(a ^ b for a, b in zip(iv[8:], pn))
            tags.append(_tag(key, nonce, sealed, heads[-1]))
        after = (len(sealed) + 15) // 16 - hole // 16 + 1
        sum_ = _power(hashes[0], after) ^ _power(hashes[1], after)
        block = _multiply(tags[0] ^ tags[1], _power(sum_, (1 << 128) - 2)).to_bytes(16, "big")
        sealed = sealed[:hole] + block + sealed[hole + 16:]
        both = [_tag(key, iv[:8] + bytes(a ^ b for a, b in zip(iv[8:], head[-4:])), sealed, head)
                for (key, iv, _), head in zip(sides, heads)]
        assert both[0] == both[1]
        return wire + sealed + both[0].to_bytes(16, "big")
