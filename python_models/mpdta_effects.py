def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import estimate

    return estimate(
        "mpdta",
        dbt.config.meta_get("study"),
        units=dbt.ref("mpdta_units"),
        gates=dbt.ref("mpdta_gates"),
        session=session,
    )
