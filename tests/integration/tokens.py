"""JWT-SVIDs and SPIFFE bundles for tests, with damaged ones on demand."""
import base64
import json
import os
import time

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

DROP = object()  # as a claim or header: leave this member out


def b64url(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _number(value, size=None):
    return b64url(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))


class _Es256:
    name = "ES256"

    def __init__(self):
        self.key = ec.generate_private_key(ec.SECP256R1())

    def jwk(self):
        point = self.key.public_key().public_numbers()
        return {"kty": "EC", "crv": "P-256", "x": _number(point.x, 32),
                "y": _number(point.y, 32)}

    def sign(self, data):
        r, s = utils.decode_dss_signature(
            self.key.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


class _Rs256:
    name = "RS256"

    def __init__(self):
        self.key = rsa.generate_private_key(65537, 2048)

    def jwk(self):
        public = self.key.public_key().public_numbers()
        return {"kty": "RSA", "n": _number(public.n), "e": _number(public.e)}

    def sign(self, data):
        return self.key.sign(data, padding.PKCS1v15(), hashes.SHA256())


KINDS = {kind.name: kind for kind in (_Es256, _Rs256)}


class Issuer:
    """A trust domain's signing key: bundle() is what it publishes."""

    def __init__(self, trust_domain="example.org", algorithm="ES256",
                 kid="key-1"):
        self.trust_domain = trust_domain
        self.kid = kid
        self.signer = KINDS[algorithm]()

    def jwk(self):
        return {**self.signer.jwk(), "use": "jwt-svid", "kid": self.kid}

    def bundle(self, *others):
        """The bundle as text, with the keys of other issuers too."""
        return json.dumps({"spiffe_sequence": 1, "spiffe_refresh_hint": 300,
                           "keys": [i.jwk() for i in (self, *others)]},
                          indent=1)

    def mint(self, subject, audience, lifetime=300, headers=None, **claims):
        """A token for a SPIFFE ID (or a path in the trust domain).  headers
        and claims replace what stands there; DROP leaves it out."""
        now = int(time.time())
        if subject.startswith("/"):
            subject = f"spiffe://{self.trust_domain}{subject}"
        body = {"sub": subject, "aud": [audience], "iat": now,
                "exp": now + lifetime, "jti": os.urandom(16).hex(), **claims}
        head = {"alg": self.signer.name, "kid": self.kid, "typ": "JWT",
                **(headers or {})}
        return self.sign(head, body)

    def sign(self, head, body):
        parts = [b64url(json.dumps({k: v for k, v in part.items()
                                    if v is not DROP},
                                   separators=(",", ":")).encode())
                 for part in (head, body)]
        signed = ".".join(parts)
        return f"{signed}.{b64url(self.signer.sign(signed.encode()))}"
