/**
 * Both suites against the examples that the RFCs print.
 *
 * @module
 */
import assert from "node:assert/strict";
import { concat, utf8 } from "../../lib/base/bytes.ts";
import { nativeSuite } from "../../lib/crypto/native.ts";
import { nobleSuite } from "../../lib/crypto/noble.ts";

const hex = Uint8Array.fromHex;
const filled = (length: number, byte: number) =>
  new Uint8Array(length).fill(byte);
const counted = (first: number, last: number) =>
  Uint8Array.from({ length: last - first + 1 }, (_, index) => first + index);

for (const suite of [nobleSuite(), nativeSuite()]) {
  const name = (what: string) => `${suite.name}: ${what}`;

  Deno.test(name("sha256() gives the examples of FIPS 180-4"), () => {
    assert.equal(
      suite.sha256().toHex(),
      "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    );
    assert.equal(
      suite.sha256(utf8("abc")).toHex(),
      "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    );
    assert.equal(
      suite.sha256(
        utf8("abcdbcdecdefdefgefghfghighijhi"),
        utf8("jkijkljklmklmnlmnomnopnopq"),
      ).toHex(),
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
    );
  });

  Deno.test(name("hmac() gives the examples of RFC 4231"), () => {
    const cases: [Uint8Array, Uint8Array, string][] = [
      [
        filled(20, 0x0b),
        utf8("Hi There"),
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
      ],
      [
        utf8("Jefe"),
        utf8("what do ya want for nothing?"),
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
      ],
      [
        filled(20, 0xaa),
        filled(50, 0xdd),
        "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
      ],
      [
        counted(0x01, 0x19),
        filled(50, 0xcd),
        "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
      ],
      [
        filled(131, 0xaa),
        utf8("Test Using Larger Than Block-Size Key - Hash Key First"),
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
      ],
      [
        filled(131, 0xaa),
        utf8(
          "This is a test using a larger than block-size key and a larger than block-size data. The key needs to be hashed before being used by the HMAC algorithm.",
        ),
        "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
      ],
    ];
    for (const [key, data, mac] of cases) {
      assert.equal(suite.hmac(key, data).toHex(), mac);
      const [head, tail] = [data.subarray(0, 3), data.subarray(3)];
      assert.equal(suite.hmac(key, head, tail).toHex(), mac);
    }
  });

  Deno.test(name("hkdf() gives the examples of RFC 5869"), () => {
    const okm1 =
      "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865";
    const info1 = hex("f0f1f2f3f4f5f6f7f8f9");
    assert.equal(
      suite.hkdf(filled(22, 0x0b), counted(0, 12), info1, 42).toHex(),
      okm1,
    );
    const prk = hex(
      "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
    );
    assert.equal(suite.hkdfExpand(prk, info1, 42).toHex(), okm1);
    assert.equal(
      suite.hkdf(
        counted(0x00, 0x4f),
        counted(0x60, 0xaf),
        counted(0xb0, 0xff),
        82,
      ).toHex(),
      "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87",
    );
    const none = new Uint8Array(0);
    assert.equal(
      suite.hkdf(filled(22, 0x0b), none, none, 42).toHex(),
      "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
    );
  });

  Deno.test(name("scrypt() gives the examples of RFC 7914"), async () => {
    const none = new Uint8Array(0);
    assert.equal(
      (await suite.scrypt(none, none, { N: 16, r: 1, p: 1, length: 64 }))
        .toHex(),
      "77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442fcd0069ded0948f8326a753a0fc81f17e8d3e0fb2e0d3628cf35e20c38d18906",
    );
    assert.equal(
      (await suite.scrypt(utf8("password"), utf8("NaCl"), {
        N: 1024,
        r: 8,
        p: 16,
        length: 64,
      })).toHex(),
      "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b3731622eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640",
    );
  });

  Deno.test(
    name("seal() and open() give the example of RFC 8439 §2.8.2"),
    () => {
      const key = counted(0x80, 0x9f);
      const nonce = hex("070000004041424344454647");
      const aad = hex("50515253c0c1c2c3c4c5c6c7");
      const plaintext = utf8(
        "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.",
      );
      const sealed = hex(
        "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd0600691",
      );
      assert.deepEqual(suite.seal(key, nonce, plaintext, aad), sealed);
      assert.deepEqual(suite.open(key, nonce, sealed, aad), plaintext);
      assert.equal(suite.open(key, nonce, sealed), undefined);
    },
  );

  Deno.test(name("open() gives the example of RFC 8439 §A.5"), () => {
    const key = hex(
      "1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0",
    );
    const nonce = hex("000000000102030405060708");
    const aad = hex("f33388860000000000004e91");
    const sealed = hex(
      "64a0861575861af460f062c79be643bd5e805cfd345cf389f108670ac76c8cb24c6cfc18755d43eea09ee94e382d26b0bdb7b73c321b0100d4f03b7f355894cf332f830e710b97ce98c8a84abd0b948114ad176e008d33bd60f982b1ff37c8559797a06ef4f0ef61c186324e2b3506383606907b6a7c02b0f9f6157b53c867e4b9166c767b804d46a59b5216cde7a4e99040c5a40433225ee282a1b0a06c523eaf4534d7f83fa1155b0047718cbc546a0d072b04b3564eea1b422273f548271a0bb2316053fa76991955ebd63159434ecebb4e466dae5a1073a6727627097a1049e617d91d361094fa68f0ff77987130305beaba2eda04df997b714d6c6f2c29a6ad5cb4022b02709beead9d67890cbb22392336fea1851f38",
    );
    const plaintext = suite.open(key, nonce, sealed, aad);
    assert.ok(plaintext);
    const text = new TextDecoder().decode(plaintext);
    assert.match(text, /^Internet-Drafts are draft documents valid for/);
    assert.ok(text.endsWith("as /“work in progress./”"));
  });

  Deno.test(name("keystream() gives the keystreams of RFC 8439 §A.1"), () => {
    const bytes = new Uint8Array(128);
    suite.keystream(new Uint8Array(32)).xor(bytes);
    assert.equal(
      bytes.toHex(),
      "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee65869f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f",
    );
  });

  Deno.test(name("x25519() gives the examples of RFC 7748"), () => {
    const alice = hex(
      "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
    );
    const bob = hex(
      "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
    );
    const alicePublic = suite.x25519Public(alice);
    const bobPublic = suite.x25519Public(bob);
    assert.equal(
      alicePublic.toHex(),
      "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
    );
    assert.equal(
      bobPublic.toHex(),
      "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
    );
    const shared =
      "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742";
    assert.equal(suite.x25519(alice, bobPublic)?.toHex(), shared);
    assert.equal(suite.x25519(bob, alicePublic)?.toHex(), shared);
    assert.equal(
      suite.x25519(
        hex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4"),
        hex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c"),
      )?.toHex(),
      "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
    );
  });

  Deno.test(name("x25519() repeats as RFC 7748 §5.2 says"), () => {
    let k = hex(
      "0900000000000000000000000000000000000000000000000000000000000000",
    );
    let u = k;
    for (let i = 0; i < 1000; i++) {
      const next = suite.x25519(k, u);
      assert.ok(next);
      if (i === 0) {
        assert.equal(
          next.toHex(),
          "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079",
        );
      }
      [k, u] = [next, k];
    }
    assert.equal(
      k.toHex(),
      "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51",
    );
  });

  Deno.test(
    name("sign() and verify() give the examples of RFC 8032 §7.1"),
    () => {
      const cases = [
        {
          seed:
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
          publicKey:
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
          message: "",
          signature:
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        },
        {
          seed:
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
          publicKey:
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
          message: "72",
          signature:
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        },
        {
          seed:
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
          publicKey:
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
          message: "af82",
          signature:
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
        },
        {
          seed:
            "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
          publicKey:
            "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
          message:
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
          signature:
            "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
        },
      ];
      for (const { seed, publicKey, message, signature } of cases) {
        const signer = suite.signer(hex(seed));
        assert.equal(signer.publicKey.toHex(), publicKey);
        const signed = signer.sign(hex(message));
        assert.equal(signed.toHex(), signature);
        assert.ok(suite.verify(signer.publicKey, hex(message), signed));
        const longer = concat(hex(message), new Uint8Array(1));
        assert.ok(!suite.verify(signer.publicKey, longer, signed));
      }
    },
  );
}
