"""`python -m iterdeploy`."""

from iterdeploy.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
